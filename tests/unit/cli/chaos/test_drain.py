import pytest

from services.cli.chaos.drain import Progress, Reader, Stall
from services.cli.chaos.run import split_late_from_lost


def progress(landed, priced=9):
    return Progress(
        (
            Reader("has landed", "telemetry", {0: landed}, {0: 9, 1: -1}),
            Reader("is priced", "telemetry", {0: priced}, {0: 9, 1: -1}),
        )
    )


def test_readers_that_are_behind_are_named():
    """An operator reads which reader is behind in which partition, and how far; an empty one has no lag."""
    assert progress(landed=9).behind() == ()
    assert progress(landed=4, priced=7).behind() == (
        "telemetry p00 has landed through event 4 of 9",
        "telemetry p00 is priced through event 7 of 9",
    )


def test_a_partition_without_a_file_is_behind_from_its_first_event():
    """No file is not the same as no events."""
    assert Reader("has landed", "predictions", {}, {2: 0}).behind
    assert list(Reader("has landed", "predictions", {}, {2: 0}).behind()) == [
        "predictions p02 has landed through event -1 of 0"
    ]


def test_a_slow_drain_goes_on_while_anything_moves():
    """A slow machine is no loss. A run is stuck only when nothing has moved for the limit."""
    stall = Stall(10, now_s=0)
    for second in range(100):
        assert not stall.is_stalled(progress(landed=second // 9), now_s=second)
    assert not stall.is_stalled(progress(landed=11), now_s=108)
    assert stall.is_stalled(progress(landed=11), now_s=109)


def test_a_hub_that_does_not_answer_is_no_progress():
    """Unknown progress does not extend the limit; the readers that were behind before are reported."""
    stall = Stall(10, now_s=0)
    assert not stall.is_stalled(None, now_s=9)
    assert stall.is_stalled(None, now_s=10)
    assert stall.behind == ("the emulator does not answer",)
    stall.is_stalled(progress(landed=3), now_s=11)
    assert stall.is_stalled(None, now_s=21)
    assert stall.behind == ("telemetry p00 has landed through event 3 of 9",)


@pytest.mark.parametrize(
    ("is_drained", "expected"), [(True, (8, 4, 0, 0)), (False, (1, 3, 7, 1))], ids=["drained", "stuck"]
)
def test_waiting_readings_are_not_lost_ones(is_drained, expected):
    """In a run that drained everything missing is lost; in a stuck one what the hub holds is late."""
    counts = {"missing": 8, "predictions_missing": 4, "waiting": 7, "predictions_waiting": 1}
    found = split_late_from_lost(counts, is_drained=is_drained)
    names = ("missing", "predictions_missing", "waiting", "predictions_waiting")
    assert tuple(found[name] for name in names) == expected
