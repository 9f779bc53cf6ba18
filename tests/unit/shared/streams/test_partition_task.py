import asyncio

import pytest

from shared.service.errors import SinkUnavailable, SourceUnavailable
from shared.streams.event import Event
from shared.streams.handler_protocols import ReceiveLimits, Start
from shared.streams.partition_task import PartitionTask
from shared.streams.sequenced_feed import SequencedFeed


class Handler:
    """A handler that handles events once `may_handle` is set; raises `failure` if there is one."""

    def __init__(self, failure=None, due_in_s=None):
        self.failure = failure
        self.may_handle = asyncio.Event()
        self.may_handle.set()
        self.has_begun = asyncio.Event()
        self.has_flushed = asyncio.Event()
        self.runs = []
        self.calls = []
        self._due_in_s = due_in_s

    async def handle(self, events):
        self.has_begun.set()
        await self.may_handle.wait()
        if self.failure is not None:
            raise self.failure
        self.runs.append([event.sequence_number for event in events])

    async def flush(self):
        self.calls.append("flush")
        self._due_in_s = None
        self.has_flushed.set()

    def due_in_s(self):
        return self._due_in_s

    def stop(self):
        self.calls.append("stop")

    async def close(self):
        self.calls.append("close")


async def _same_hub():
    pass


def started(handler, verify_link=_same_hub, on_handled=lambda _: None, **limits):
    given = {"waiting_events": 1, "piece_bytes": 10, **limits}
    feed = SequencedFeed(handler, "hub", Start(0))
    return PartitionTask(handler, feed, ReceiveLimits(100, 100, 100, **given), verify_link, on_handled)


def events(start, stop, body=b"."):
    return [Event(number, str(number), 0, None, body) for number in range(start, stop)]


async def fail_to_offer(task):
    while True:
        await task.offer(())
        await asyncio.sleep(0)


async def test_a_drain_flushes_what_was_handled_and_takes_no_more():
    """A drain handles and flushes the current piece; events that wait behind it stay in the hub."""
    handler = Handler()
    handler.may_handle.clear()
    task = started(handler, piece_bytes=2)
    await task.offer(events(0, 4))
    await handler.has_begun.wait()
    await task.offer(events(4, 6))
    draining = asyncio.create_task(task.drain())
    await asyncio.sleep(0)
    handler.may_handle.set()
    await draining
    await task.offer(events(6, 8))
    assert handler.runs == [[0, 1]]
    assert handler.calls == ["stop", "flush"]
    assert task.next_expected == 2


async def test_a_close_flushes_nothing():
    """A partition that moves to another process is closed at once, even in the middle of a step."""
    handler = Handler()
    handler.may_handle.clear()
    task = started(handler)
    await task.offer(events(0, 4))
    await handler.has_begun.wait()
    await task.close()
    assert handler.runs == []
    assert handler.calls == ["stop", "close"]


async def test_a_stop_in_the_middle_of_a_piece_reports_no_progress():
    """A handler that is stopped may leave a piece unfinished: its position is not shown as reached."""
    handler, positions = Handler(), []
    handler.may_handle.clear()
    task = started(handler, on_handled=positions.append)
    await task.offer(events(0, 4))
    await handler.has_begun.wait()
    closing = asyncio.create_task(task.close(timeout_s=10.0))
    await asyncio.sleep(0)
    handler.may_handle.set()
    await closing
    assert positions == [0]


async def test_a_step_under_way_may_end_before_a_close():
    """With time to end its step, the handler is not cut short."""
    handler = Handler()
    handler.may_handle.clear()
    task = started(handler)
    await task.offer(events(0, 4))
    await handler.has_begun.wait()
    closing = asyncio.create_task(task.close(timeout_s=60.0))
    await asyncio.sleep(0)
    handler.may_handle.set()
    await closing
    assert handler.runs == [[0, 1, 2, 3]]
    assert handler.calls == ["stop", "close"]


async def test_a_failure_is_raised_where_events_are_handed_over():
    """The receive callback learns of it even without events, and so closes the link."""
    task = started(Handler(failure=SinkUnavailable("no answer")))
    await task.offer(events(0, 1))
    with pytest.raises(SinkUnavailable):
        await fail_to_offer(task)
    assert isinstance(task.failure, SinkUnavailable)


async def test_a_callback_that_waits_sees_the_failure():
    """Back-pressure ends with the task: no callback waits for room that will never come."""
    handler = Handler(failure=SinkUnavailable("no answer"))
    handler.may_handle.clear()
    task = started(handler)
    await task.offer(events(0, 1))
    await handler.has_begun.wait()
    await task.offer(events(1, 2))
    waiting = asyncio.create_task(task.offer(events(2, 3)))
    await asyncio.sleep(0)
    assert not waiting.done()
    handler.may_handle.set()
    with pytest.raises(SinkUnavailable):
        await waiting


async def test_what_is_due_is_flushed_while_nothing_comes():
    """An idle partition flushes on the clock."""
    handler = Handler(due_in_s=0)
    task = started(handler)
    await handler.has_flushed.wait()
    await task.close()


async def test_small_lists_are_gathered_to_a_piece():
    """Events that come within the gathering time are handled together, up to a piece."""
    handler = Handler()
    task = started(handler, gather_s=3_600.0, piece_events=4, piece_bytes=100)
    for number in range(4):
        await task.offer(events(number, number + 1))
    await handler.has_begun.wait()
    await task.drain()
    assert handler.runs == [[0, 1, 2, 3]]


async def test_another_hub_is_found_out_before_its_events_are_handled():
    """The link's hub is verified first: a re-created hub's events reach no handler."""

    async def another_hub():
        raise SinkUnavailable("re-created")

    handler = Handler()
    task = started(handler, another_hub)
    await task.offer(events(0, 1))
    with pytest.raises(SinkUnavailable, match="re-created"):
        await fail_to_offer(task)
    assert handler.runs == []


async def test_a_cancellation_from_within_is_a_failure():
    """A task that something else cancelled takes in nothing more; the next events show it."""
    task = started(Handler(failure=asyncio.CancelledError()))
    await task.offer(events(0, 1))
    await asyncio.wait([task._task], timeout=10)
    await asyncio.sleep(0)  # its end is noted in the next turn of the loop
    with pytest.raises(SourceUnavailable):
        await task.offer(events(1, 2))
    await task.close()
