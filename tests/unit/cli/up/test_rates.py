import pytest

from services.cli.up.rates import Rate


def test_a_rate_is_of_the_last_seconds():
    """A fleet that doubles its pace shows so after the window."""
    rate = Rate(window_s=10)
    for second in range(31):
        rate.add_sample(second, 100 * second if second < 20 else 2_000 + 200 * (second - 20))
    assert rate.per_s(30) == pytest.approx(200, rel=0.05)


def test_a_counter_that_was_reset_goes_on():
    """A restarted service counts from 0; its rate is never negative."""
    rate = Rate(window_s=10)
    for second, count in enumerate([0, 100, 200, 0, 100]):
        rate.add_sample(second, count)
    assert rate.per_s(4) == pytest.approx(75)


def test_no_sample_is_no_rate():
    """Before the first sample the rate is 0."""
    assert Rate(window_s=10).per_s(5) == 0
