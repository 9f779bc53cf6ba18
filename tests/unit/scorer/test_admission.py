"""Requests are admitted as long as they can be answered within the time limit."""

import pytest

from services.scorer.rest.batching.admission import Admission, Pace


@pytest.fixture
def admission():
    """A limit of 50 ms; a vehicle takes 20 µs to price, a request 80 µs to answer."""
    one = Admission(0.05, 2_000)
    one.pricing.record(0.002, 100)
    one.answering.record(0.008, 100)
    return one


def test_before_the_first_measurement_requests_are_admitted():
    """A scorer that has just started refuses by elapsed time and number of vehicles only."""
    fresh = Admission(0.05, 2_000)
    assert fresh.admits(0.0, 1_000, 1_000)
    assert not fresh.admits(0.05, 100, 100)
    assert not fresh.admits(0.0, 1, 2_000)


def test_as_many_are_admitted_as_can_be_answered_in_time(admission):
    """At 100 µs each, 499 before the next one fit into 50 ms, 501 do not."""
    assert admission.admits(0.0, 499, 499)
    assert not admission.admits(0.0, 501, 501)


def test_a_pause_of_the_machine_causes_no_refusal(admission):
    """A few vehicles are admitted after any pause, if the limit of vehicles allows."""
    assert admission.admits(3.0, 63, 63)
    assert not admission.admits(3.0, 64, 64)
    assert not Admission(0.05, 10).admits(0.0, 10, 10)


def test_elapsed_time_counts(admission):
    """After 40 ms of waiting there is time for 10 ms of work."""
    assert admission.admits(0.04, 99, 99)
    assert not admission.admits(0.04, 101, 101)


def test_large_requests_count_by_their_vehicles(admission):
    """One request of 1,000 vehicles leaves room for more; three of them are 60 ms of work."""
    assert admission.admits(0.0, 1, 1_000)
    assert not Admission(0.05, 9_000, admission.pricing, admission.answering).admits(0.0, 3, 3_000)


def test_a_slower_machine_admits_fewer(admission):
    """If answers take three times as long, a third as many are admitted, and back again."""
    for spent_s, limit in ((0.024, 192), (0.008, 499)):
        for _ in range(1_000):
            admission.answering.record(spent_s, 100)
        assert admission.admits(0.0, limit - 2, limit - 2)
        assert not admission.admits(0.0, limit + 2, limit + 2)


def test_a_pace_is_a_decaying_mean():
    """Each measurement weighs by its count, and older ones weigh less."""
    pace = Pace()
    assert pace.each_s == 0
    pace.record(1.0, 1)
    pace.record(1.0, 99)
    assert pace.each_s == pytest.approx(1.99 / 99.99)
