import pytest

from services.cli.chaos.drain import Reader, Stall, Standing
from services.cli.chaos.run import split_late_from_lost


def standing(landed, priced=9):
    return Standing(
        (
            Reader("has landed", "telemetry", {0: landed}, {0: 9, 1: -1}),
            Reader("is priced", "telemetry", {0: priced}, {0: 9, 1: -1}),
        )
    )


def test_who_is_behind_is_named():
    """An operator reads which hub's partition waits for whom, and for how much; an empty one for nobody."""
    assert standing(landed=9).behind() == ()
    assert standing(landed=4, priced=7).behind() == (
        "telemetry p00 has landed through event 4 of 9",
        "telemetry p00 is priced through event 7 of 9",
    )


def test_a_partition_without_a_file_is_behind_from_its_first_event():
    """Nothing landed is not nothing to land."""
    assert Reader("has landed", "predictions", {}, {2: 0}).behind
    assert list(Reader("has landed", "predictions", {}, {2: 0}).behind()) == [
        "predictions p02 has landed through event -1 of 0"
    ]


def test_a_slow_drain_goes_on_while_anything_moves():
    """However long it takes: a slow machine is no loss. Only when nothing moves for the limit it is stuck."""
    stall = Stall(10, now_s=0)
    for second in range(100):
        assert not stall.see(standing(landed=second // 9), now_s=second)
    assert not stall.see(standing(landed=11), now_s=108)
    assert stall.see(standing(landed=11), now_s=109)


def test_a_hub_that_is_away_is_no_progress():
    """What cannot be asked does not put the limit off; who was behind before is told."""
    stall = Stall(10, now_s=0)
    assert not stall.see(None, now_s=9)
    assert stall.see(None, now_s=10)
    assert stall.behind == ("the emulator does not answer",)
    stall.see(standing(landed=3), now_s=11)
    assert stall.see(None, now_s=21)
    assert stall.behind == ("telemetry p00 has landed through event 3 of 9",)


@pytest.mark.parametrize(
    ("is_drained", "told"), [(True, (8, 4, 0, 0)), (False, (1, 3, 7, 1))], ids=["drained", "stuck"]
)
def test_what_waits_is_told_apart_from_what_is_lost(is_drained, told):
    """In a run that came to its end everything missing is lost; in a stuck one what the hub holds is late."""
    counts = {"missing": 8, "predictions_missing": 4, "waiting": 7, "predictions_waiting": 1}
    found = split_late_from_lost(counts, is_drained=is_drained)
    names = ("missing", "predictions_missing", "waiting", "predictions_waiting")
    assert tuple(found[name] for name in names) == told
