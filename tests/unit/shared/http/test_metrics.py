"""Counters and histograms of HTTP appear on the metrics page in Prometheus' format."""

import pytest
from prometheus_client import REGISTRY, generate_latest

from shared.http.metrics import Counts, Distributions


@pytest.fixture
def registered():
    """Register metrics for the time of a test."""
    made = []
    yield lambda one: made.append(one) or one
    for one in made:
        REGISTRY.unregister(one)


def test_counts_are_counters(registered):
    """Each set of labels has its own count, which starts at 0."""
    counts = registered(Counts("test_asked", "Asked", ("route", "status")))
    counts.add(("/a", "200"))
    counts.add(("/a", "200"))
    counts.add(("/b", "404"))
    page = generate_latest().decode()
    assert "# TYPE test_asked_total counter" in page
    assert 'test_asked_total{route="/a",status="200"} 2.0' in page
    assert 'test_asked_total{route="/b",status="404"} 1.0' in page
    assert counts.count("/b", "200") == 0


def test_a_declared_count_is_shown_at_zero(registered):
    """An alert sees the first increase of a count that is declared; declaring it again changes nothing."""
    counts = registered(Counts("test_failed", "Failed", ("route",)))
    counts.declare(("/a",))
    assert 'test_failed_total{route="/a"} 0.0' in generate_latest().decode()
    counts.add(("/a",))
    counts.declare(("/a",))
    assert counts.count("/a") == 1


def test_distributions_are_histograms(registered):
    """A value at a bucket's end is within it; buckets are cumulative, and the sum is exact."""
    seconds = registered(Distributions("test_seconds", "Took", ("route",), (0.5, 1.0)))
    for value in (0.25, 0.5, 0.75, 8.0):
        seconds.with_labels("/a").observe(value)
    page = generate_latest().decode()
    assert "# TYPE test_seconds histogram" in page
    for end, count in (("0.5", 2), ("1.0", 3), ("+Inf", 4)):
        assert f'test_seconds_bucket{{le="{end}",route="/a"}} {count}.0' in page
    assert 'test_seconds_count{route="/a"} 4.0' in page
    assert 'test_seconds_sum{route="/a"} 9.5' in page
