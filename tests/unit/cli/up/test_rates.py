import pytest

from services.cli.up.rates import Rate


def test_a_rate_is_of_the_last_seconds():
    """A fleet that doubles its pace shows so after the window."""
    rate = Rate(window_s=10)
    for second in range(31):
        rate.see(second, 100 * second if second < 20 else 2_000 + 200 * (second - 20))
    assert rate.per_s(30) == pytest.approx(200, rel=0.05)


def test_a_counter_that_began_anew_goes_on():
    """A service that restarted counts from 0 again, and its rate is never negative."""
    rate = Rate(window_s=10)
    for second, count in enumerate([0, 100, 200, 0, 100]):
        rate.see(second, count)
    assert rate.per_s(4) == pytest.approx(75)


def test_nothing_seen_is_no_rate():
    """Before the first look there is nothing to report."""
    assert Rate(window_s=10).per_s(5) == 0
