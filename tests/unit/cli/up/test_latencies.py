import random

import pytest

from services.cli.up.latencies import Latencies, LatencyCounts


def test_percentiles_are_true_to_two_percent():
    """p50, p95 and p99 of many latencies are right within a bucket's width."""
    draw = random.Random(1)
    latencies = sorted(draw.lognormvariate(4, 0.5) for _ in range(10_000))
    counts = LatencyCounts()
    for latency in latencies:
        counts.add(latency)
    found = counts.percentiles_ms()
    for percent in (50, 95, 99):
        assert found[f"p{percent}"] == pytest.approx(latencies[percent * 100 - 1], rel=0.02)


def test_nothing_received_has_no_latency():
    """Before the first prediction there is no number, not a zero."""
    assert Latencies().recent().percentiles_ms() == {"p50": None, "p95": None, "p99": None}


def test_old_intervals_leave_the_recent_latencies_and_stay_in_the_overall_ones():
    """A slow start leaves the recent latencies after five intervals and stays in the overall ones."""
    latencies = Latencies(intervals=5)
    latencies.add(5_000)
    for _ in range(5):
        latencies.end_interval()
        latencies.add(50)
    assert latencies.recent().percentiles_ms()["p99"] == pytest.approx(50, rel=0.02)
    assert latencies.since_start().percentiles_ms()["p99"] == pytest.approx(5_000, rel=0.02)


def test_a_clock_that_is_behind_does_not_break_the_view():
    """A latency of zero or less, by clocks that differ, counts as a very short one."""
    latencies = Latencies()
    latencies.add(-3)
    assert latencies.recent().percentiles_ms()["p50"] == pytest.approx(0, abs=0.1)
