from datetime import UTC, datetime

from shared.predictions.watermark import Mark, Watermarks
from shared.streams.sequence_tracker import SequenceTracker, Step

BORN = datetime(2026, 1, 1, tzinfo=UTC)
REBORN = datetime(2026, 2, 1, tzinfo=UTC)


def test_events_are_taken_in_sequence():
    """The expected event advances, an earlier one is dropped and counted, a later one means reopen."""
    contiguity = SequenceTracker(5)
    assert [contiguity.judge(number) for number in (5, 5, 4, 6, 9)] == [
        Step.NEXT,
        Step.SEEN,
        Step.SEEN,
        Step.NEXT,
        Step.SKIP,
    ]
    assert contiguity.next_expected == 7
    assert contiguity.seen == 2


def test_a_gap_of_the_hubs_own_is_counted():
    """A gap accepted returns the number of events in it."""
    contiguity = SequenceTracker(7)
    assert contiguity.jump(9) == 2
    assert contiguity.judge(9) is Step.NEXT


def test_what_is_not_above_the_watermark_is_a_double():
    """A zombie's repeats are dropped by (sequence, line), per source partition."""
    marks = Watermarks()
    order = [(0, 1, 0), (0, 1, 1), (0, 1, 0), (0, 2, 0), (1, 1, 0), (0, 1, 5)]
    new = [marks.is_new(partition, Mark(BORN, number, line)) for partition, number, line in order]
    assert new == [True, True, False, True, True, False]
    assert marks.doubles == 2


def test_a_recreated_source_hub_counts_from_zero():
    """The new hub's first event is no double of the old hub's, and the old one's are late."""
    marks = Watermarks()
    assert marks.is_new(0, Mark(BORN, 900, 0))
    assert marks.is_new(0, Mark(REBORN, 0, 0))
    assert not marks.is_new(0, Mark(BORN, 901, 0))
