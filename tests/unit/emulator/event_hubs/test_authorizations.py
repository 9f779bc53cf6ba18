import asyncio

import pytest

from services.emulator.event_hubs.authorizations import MAX_AUDIENCE_LENGTH, MAX_GRANTS, Authorizations
from services.emulator.event_hubs.sas import LISTEN, SEND, Grant, KeyRing, SharedKey
from shared.amqp.refusal import RESOURCE_LIMIT, Refusal


class Clock(asyncio.SelectorEventLoop):
    """A loop with a clock of ours and one timer, which fires when the test says so."""

    def __init__(self):
        super().__init__()
        self.now_s = 1000.0
        self.due = []

    def call_later(self, delay, callback):
        handle = asyncio.TimerHandle(self.now_s + delay, callback, (), self)
        self.due.append(handle)
        return handle

    def goes_to(self, now_s):
        self.now_s = now_s
        for handle in [one for one in self.due if one.when() <= now_s and not one.cancelled()]:
            self.due.remove(handle)
            handle._run()

    @property
    def waiting(self):
        return [handle.when() for handle in self.due if not handle.cancelled()]


@pytest.fixture
def clock():
    loop = Clock()
    yield loop
    loop.close()


@pytest.fixture
def lapses():
    return []


def grant(scope="telemetry", until_s=2000.0, claims=(LISTEN, SEND), key=None):
    return Grant(scope, frozenset(claims), until_s, key)


def grants(clock, lapses, keys=()):
    return Authorizations(KeyRing((), lambda: keys), clock, lambda: clock.now_s, lapses.append)


def test_what_expires_ends_at_its_time(clock, lapses):
    """One timer is set to the earliest expiry; later grants stay in force."""
    held = grants(clock, lapses)
    held.put(grant("telemetry", 2000))
    held.put(grant("predictions", 3000))
    assert clock.waiting == [2000]
    clock.goes_to(2000)
    assert "ExpiredToken" in lapses[0]
    assert not held.covers("telemetry", LISTEN)
    assert held.covers("predictions", LISTEN)
    assert clock.waiting == [3000]


def test_a_newer_token_keeps_everything_going(clock, lapses):
    """A token that is refreshed in time never lapses, however often, and leaves one grant and one timer."""
    held = grants(clock, lapses)
    for until_s in range(2000, 5000, 500):
        held.put(grant(until_s=until_s))
        clock.goes_to(until_s - 1)
        assert held.covers("telemetry/Partitions/0", SEND)
    assert not lapses
    assert clock.waiting == [4500]


def test_a_clock_that_runs_ahead_ends_nothing_early(clock, lapses):
    """The timer of a loop that is a little fast finds nothing to end, and waits again."""
    held = grants(clock, lapses)
    held.put(grant(until_s=2000))
    [timer] = clock.due
    clock.now_s = 1999.9
    timer._run()
    assert not lapses
    assert held.covers("telemetry", LISTEN)
    assert clock.waiting[-1] == pytest.approx(2000)


def test_a_newer_token_may_allow_less(clock, lapses):
    """A client that puts a token with the claim Listen only can no longer send."""
    held = grants(clock, lapses)
    held.put(grant())
    held.put(grant(claims=[LISTEN]))
    assert len(lapses) == 1
    assert not held.covers("telemetry", SEND)


def test_a_key_that_is_gone_allows_nothing(clock, lapses):
    """Removing a hub's key withdraws what it allowed, and nothing else."""
    key = SharedKey("own", "secret", scope="telemetry")
    keys = [key]
    held = grants(clock, lapses, keys)
    held.put(grant("telemetry", key=key))
    held.put(grant("predictions"))
    held.recheck_keys()
    assert not lapses
    keys.clear()
    held.recheck_keys()
    assert "no longer valid" in lapses[0]
    assert not held.covers("telemetry", LISTEN)
    assert held.covers("predictions", LISTEN)


def test_what_never_expires_waits_for_nothing(clock, lapses):
    """A key that came by SASL PLAIN needs no timer."""
    held = grants(clock, lapses)
    held.put(grant(until_s=float("inf")))
    assert not clock.waiting


def test_the_end_of_the_connection_is_the_end_of_its_timer(clock, lapses):
    """A closed connection leaves no timer behind and is notified of nothing."""
    held = grants(clock, lapses)
    held.put(grant())
    held.stop()
    assert not clock.waiting
    assert not lapses


def test_tokens_of_one_connection_are_bounded(clock, lapses):
    """The number and the length of audiences are bounded."""
    held = grants(clock, lapses)
    for number in range(MAX_GRANTS):
        held.put(grant(f"telemetry/{number}", float("inf")))
    held.put(grant("telemetry/0", float("inf")))
    for scope in ("telemetry/one-more", "x" * (MAX_AUDIENCE_LENGTH + 1)):
        with pytest.raises(Refusal) as refused:
            held.put(grant(scope))
        assert refused.value.condition == RESOURCE_LIMIT
