"""A caller that does not receive an answer in time is late."""

import pytest

from shared.http.deadlines import DrainProgress
from shared.http.limits import ConnectionLimits


def test_a_caller_that_receives_in_time_is_never_late():
    """A connection that always has bytes waiting, but receives them in time, may go on for ever."""
    taken = DrainProgress()
    for second in range(1_000):
        assert not taken.is_late(received=second * 1_000, waiting=1_000, now_s=float(second), within_s=1.0)


def test_a_few_bytes_do_not_extend_the_deadline():
    """A caller that receives one byte a second of a thousand is late when the time for all is over."""
    taken = DrainProgress()
    late = [taken.is_late(second, 1_000 - second, float(second), within_s=10.0) for second in range(12)]
    assert late == [False] * 10 + [True, True]


def test_later_answers_do_not_extend_the_deadline():
    """Bytes added meanwhile do not extend the deadline of those that waited before."""
    taken = DrainProgress()
    assert not taken.is_late(0, 1_000, 0.0, within_s=10.0)
    assert not taken.is_late(900, 50_000, 9.0, within_s=10.0)
    assert taken.is_late(999, 90_000, 10.0, within_s=10.0)


def test_the_next_answer_has_its_own_deadline():
    """Once all that waited is received, a new deadline starts for what waits then."""
    taken = DrainProgress()
    assert not taken.is_late(0, 1_000, 0.0, within_s=10.0)
    assert not taken.is_late(1_000, 500, 9.0, within_s=10.0)
    assert not taken.is_late(1_000, 500, 18.0, within_s=10.0)
    assert taken.is_late(1_499, 1, 19.0, within_s=10.0)


@pytest.mark.parametrize(
    ("request_s", "answer_s", "look_s"), [(10, 30, 1.0), (0.4, 30, 0.1), (10, 0.2, 0.05)]
)
def test_connections_are_checked_often_enough(request_s, answer_s, look_s):
    """A slow caller exceeds its limit by a quarter at most, and never by more than a second."""
    assert ConnectionLimits(1, request_s, answer_s, 75).check_interval_s == look_s
