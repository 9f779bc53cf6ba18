import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.emulator.event_hubs.throughput_bucket import Bucket, Throughput

MB = 1024 * 1024

steps = st.lists(
    st.tuples(st.floats(0, 3), st.integers(1, 2 * MB), st.integers(1, 5000)), min_size=1, max_size=60
)


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


def admit_sends(throughput, clock, sends):
    """Return (time, bytes, events) of each accepted send."""
    taken = []
    for pause_s, size_bytes, events in sends:
        clock.now_s += pause_s
        if throughput.try_admit(size_bytes, events):
            taken.append((clock.now_s, size_bytes, events))
    return taken


@given(steps, st.sampled_from([0.01, 0.5, 1, 20]))
def test_no_window_takes_in_more_than_its_rate_a_burst_and_one_batch(sends, units):
    """Over any stretch of t seconds at most t + 1 seconds' worth is accepted, and the last batch whole."""
    clock = Clock()
    taken = admit_sends(Throughput(units, clock), clock, sends)
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            window_s = taken[last][0] - taken[first][0]
            # All but the last found something left.
            size_bytes = sum(send[1] for send in taken[first:last])
            events = sum(send[2] for send in taken[first:last])
            assert size_bytes <= MB * units * (window_s + 1) + 1
            assert events <= 1000 * units * (window_s + 1) + 1


@given(steps, st.sampled_from([0.01, 1, 20]))
def test_a_sender_that_waits_as_long_as_required_is_accepted(sends, units):
    """A sender that is refused and stays away for the time it takes is accepted, however large its batch."""
    clock = Clock()
    throughput = Throughput(units, clock)
    for pause_s, size_bytes, events in sends:
        clock.now_s += pause_s
        if not throughput.try_admit(size_bytes, events):
            clock.now_s += throughput.ingress.wait_s(clock.now_s) + 1e-6
            assert throughput.try_admit(size_bytes, events)


@given(st.lists(st.tuples(st.floats(0, 0.9), st.integers(1, 100)), min_size=1, max_size=50))
def test_senders_within_their_rate_are_never_refused(sends):
    """Up to 100 events each 0.1 s or slower is what one unit allows."""
    clock = Clock()
    throughput = Throughput(1, clock)
    for pause_s, events in sends:
        clock.now_s += 0.1 + pause_s
        assert throughput.try_admit(events * 100, events)
    assert throughput.refused_sends == 0


def test_bytes_or_events_whichever_comes_first():
    """One unit is 1,000 events or 1 MB a second in, 4,096 events or 2 MB out."""
    clock = Clock()
    few_and_large, many_and_small = Throughput(1, clock), Throughput(1, clock)
    assert few_and_large.try_admit(MB, 1)
    assert many_and_small.try_admit(1000, 1000)
    assert not few_and_large.try_admit(1, 1)
    assert not many_and_small.try_admit(1, 1)
    assert (few_and_large.refused_sends, many_and_small.refused_sends) == (1, 1)
    few_and_large.count_egress(4 * MB, 1)
    many_and_small.count_egress(1, 4 * 4096)
    assert few_and_large.egress_wait_s() == pytest.approx(1)
    assert many_and_small.egress_wait_s() == pytest.approx(3)


def test_a_refused_send_costs_nothing():
    """Refused sends do not prolong the throttling."""
    clock = Clock()
    throughput = Throughput(1, clock)
    assert throughput.try_admit(1, 1500)
    for _ in range(100):
        assert not throughput.try_admit(1, 1000)
    clock.now_s += 0.501
    assert throughput.try_admit(1, 1000)


def test_no_limit_unless_asked_for():
    """Without units nothing is delayed; removing the limit takes effect at once."""
    throughput = Throughput()
    assert throughput.units is None
    assert throughput.try_admit(10**12, 10**9)
    throughput.set_units(0.001)
    assert throughput.try_admit(MB, 1)
    assert not throughput.try_admit(1, 1)
    throughput.set_units(None)
    assert throughput.try_admit(1, 1)
    assert throughput.egress_wait_s() == 0


@pytest.mark.parametrize("units", [0, -1, float("inf"), float("nan")])
def test_units_are_more_than_none(units):
    """Invalid numbers of throughput units are refused."""
    with pytest.raises(ValueError, match="above 0"):
        Throughput(units)


@given(st.floats(2, 1e6), st.lists(st.floats(0, 1e6), max_size=30))
def test_a_bucket_never_holds_more_than_a_seconds_worth(rate, amounts):
    """After any idle time, the burst is at most one second's worth and one batch."""
    bucket = Bucket(rate, 0.0)
    now_s = 0.0
    for amount in amounts:
        now_s += 1e6
        assert bucket.wait_s(now_s) == 0
        bucket.consume(amount, now_s)
        assert bucket.wait_s(now_s) <= max(amount / rate, 0.001)
