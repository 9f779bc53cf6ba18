"""An answer is taken in time or its caller is cut off."""

import pytest

from shared.http.deadlines import DrainProgress
from shared.http.limits import ConnectionLimits


def test_who_takes_all_that_waits_in_time_is_kept():
    """A connection that is never empty, but takes what waited at each look in time, may go on for ever."""
    taken = DrainProgress()
    for second in range(1_000):
        assert not taken.is_late(received=second * 1_000, waiting=1_000, now_s=float(second), within_s=1.0)


def test_a_few_bytes_now_and_then_buy_no_time():
    """A caller that takes a byte a second of a thousand is late when the time for all of them is over."""
    taken = DrainProgress()
    late = [taken.is_late(second, 1_000 - second, float(second), within_s=10.0) for second in range(12)]
    assert late == [False] * 10 + [True, True]


def test_what_is_added_meanwhile_does_not_put_it_off():
    """Asking for more does not stretch the time for what was asked before."""
    taken = DrainProgress()
    assert not taken.is_late(0, 1_000, 0.0, within_s=10.0)
    assert not taken.is_late(900, 50_000, 9.0, within_s=10.0)
    assert taken.is_late(999, 90_000, 10.0, within_s=10.0)


def test_the_next_answer_has_a_time_of_its_own():
    """Once what waited is taken, the clock begins anew for what waits then."""
    taken = DrainProgress()
    assert not taken.is_late(0, 1_000, 0.0, within_s=10.0)
    assert not taken.is_late(1_000, 500, 9.0, within_s=10.0)
    assert not taken.is_late(1_000, 500, 18.0, within_s=10.0)
    assert taken.is_late(1_499, 1, 19.0, within_s=10.0)


@pytest.mark.parametrize(
    ("request_s", "answer_s", "look_s"), [(10, 30, 1.0), (0.4, 30, 0.1), (10, 0.2, 0.05)]
)
def test_connections_are_looked_at_often_enough(request_s, answer_s, look_s):
    """A slow caller lasts a quarter longer than it may at most, and never more than a second."""
    assert ConnectionLimits(1, request_s, answer_s, 75).check_interval_s == look_s
