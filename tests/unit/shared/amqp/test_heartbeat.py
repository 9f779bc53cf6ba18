import asyncio

import pytest

from shared.amqp.heartbeat import Heartbeat


class Clock(asyncio.SelectorEventLoop):
    """A loop with a clock of ours."""

    def __init__(self):
        super().__init__()
        self.now_s = 0.0
        self.due = []

    def call_later(self, delay, callback, *arguments):
        handle = asyncio.TimerHandle(self.now_s + delay, callback, arguments, self)
        self.due.append(handle)
        return handle

    def goes_to(self, now_s):
        while due := [one for one in self.due if one.when() <= now_s and not one.cancelled()]:
            first = min(due, key=asyncio.TimerHandle.when)
            self.due.remove(first)
            self.now_s = first.when()
            first._run()
        self.now_s = now_s


@pytest.fixture
def clock():
    loop = Clock()
    yield loop
    loop.close()


def watch(clock, *, is_in_use=False):
    gone = []
    heartbeat = Heartbeat(clock, 300, lambda: is_in_use, lambda: gone.append(clock.now_s))
    heartbeat.watch()
    return heartbeat, gone


def test_a_silent_connection_without_use_is_closed(clock):
    """A silent connection without use is closed after five minutes, and before ten."""
    _, gone = watch(clock)
    clock.goes_to(299)
    assert not gone
    clock.goes_to(600)
    assert len(gone) == 1


def test_heartbeats_are_enough_to_stay(clock):
    """A client that does what the server's OPEN asks, an empty frame every two minutes, stays for days."""
    heartbeat, gone = watch(clock)
    for moment in range(0, 200_000, 120):
        clock.goes_to(moment)
        heartbeat.note_received()
    assert not gone


def test_a_connection_in_use_may_be_silent(clock):
    """A reader that waits for events may be silent."""
    _, gone = watch(clock, is_in_use=True)
    clock.goes_to(100_000)
    assert not gone


def test_heartbeats_come_as_often_as_asked(clock):
    """A beat at once, then one every interval; never so often that it is a burden."""
    heartbeat, _ = watch(clock)
    beats = []
    heartbeat.send_every(30, lambda: beats.append(clock.now_s))
    clock.goes_to(100)
    assert beats == [0, 30, 60, 90]
    hasty = []
    heartbeat.send_every(0.0001, lambda: hasty.append(clock.now_s))
    clock.goes_to(101)
    assert len(hasty) <= 11


def test_the_end_of_the_connection_is_the_end_of_its_timers(clock):
    """A closed connection leaves no timer behind."""
    heartbeat, gone = watch(clock)
    heartbeat.send_every(30, lambda: None)
    heartbeat.stop()
    clock.goes_to(10_000)
    assert not gone
    assert all(handle.cancelled() for handle in clock.due)
