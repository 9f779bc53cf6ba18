"""All events of one partition, in sequence, read with the SDK's own receive loop."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, PartitionContext
from azure.eventhub.exceptions import EventHubError

from shared.service.errors import Refused, SourceUnavailable
from shared.streams.event_hubs.clients import PREFETCH
from shared.streams.event_hubs.errors import map_error
from shared.streams.event_hubs.messages import read_sequence_number
from shared.streams.sequence_tracker import SequenceTracker, Step


@dataclass(frozen=True, slots=True)
class AtOffset:
    """A position at the event with this offset; reading includes that event."""

    offset: str


Position = int | str | datetime | AtOffset

_QUEUED_BATCHES = 4
_MAX_FAILURES = 5
# A link that was open for so long was accepted: a token that runs out every hour is no row of failures.
_STEADY_S = 60.0


@dataclass(frozen=True, slots=True)
class Gap:
    """Events that the hub's retention removed before they were read."""

    first: int
    count: int


# Receive loops that are ending; until they have ended, the client accepts no other of the same partition.
_closing: dict[tuple[EventHubConsumerClient, str], asyncio.Task[None]] = {}


class _Skipped(Exception):
    """The signal that the link skipped events, so that it is reopened at the expected event."""


async def partition_events(
    client: EventHubConsumerClient,
    partition_id: str,
    after: Position = -1,
    until: int | None = None,
) -> AsyncIterator[list[EventData] | Gap]:
    """Yield lists of events after a position, without end or through sequence number `until`.

    `after` is a sequence number, an offset (text) or an instant; AtOffset includes the event at the offset.
    If the link skips events, it is closed and reopened at the expected event. If it skips at the same event
    again, the skipped events are yielded as a Gap. Raises SourceUnavailable, or Refused if the hub refuses
    our credentials, if reading fails several times in a row without progress.
    """
    contiguity = SequenceTracker(after + 1 if isinstance(after, int) else 0)
    start = after  # an offset or instant until the sequence number of the first event is known
    failures = 0
    is_skip_confirmed = False
    while until is None or contiguity.next_expected <= until:
        expected, opened_s = contiguity.next_expected, time.monotonic()
        try:
            async with aclosing(_receive(client, partition_id, start)) as received:
                async for events in received:
                    first = read_sequence_number(events[0])
                    if not isinstance(start, int):
                        contiguity.jump(first)
                    if first > contiguity.next_expected and is_skip_confirmed:
                        yield Gap(contiguity.next_expected, contiguity.jump(first))
                    is_skip_confirmed = False
                    fresh = _select_next(events, contiguity)
                    start = contiguity.next_expected - 1
                    if fresh:
                        failures = 0
                        yield fresh
                    if until is not None and contiguity.next_expected > until:
                        return
        except _Skipped:
            is_skip_confirmed = contiguity.next_expected == expected
        except (EventHubError, OSError) as error:
            failures = 1 if time.monotonic() - opened_s >= _STEADY_S else failures + 1
            await _back_off(client, partition_id, failures, error)


async def _back_off(
    client: EventHubConsumerClient, partition_id: str, failures: int, error: Exception
) -> None:
    if failures > _MAX_FAILURES:
        mapped = map_error(error, client.eventhub_name, client._consumer_group)  # noqa: SLF001 - not public
        if isinstance(mapped, Refused):
            raise mapped from error
        raise SourceUnavailable(f"partition {partition_id} cannot be read: {error}") from error
    await asyncio.sleep(0.1 * 2**failures)


def _select_next(events: list[EventData], contiguity: SequenceTracker) -> list[EventData]:
    fresh = []
    for event in events:
        match contiguity.judge(read_sequence_number(event)):
            case Step.NEXT:
                fresh.append(event)
            case Step.SKIP:
                if fresh:
                    return fresh  # return the events before the skip; the next batch meets it again
                raise _Skipped
            case Step.SEEN:
                pass
    return fresh


async def _receive(
    client: EventHubConsumerClient, partition_id: str, after: Position
) -> AsyncGenerator[list[EventData], None]:
    """Yield the events that the SDK delivers. Raises the link's error if the link fails."""
    link = (client, partition_id)
    if link in _closing:
        await asyncio.wait([_closing[link]])
    queue: asyncio.Queue[list[EventData] | Exception] = asyncio.Queue(_QUEUED_BATCHES)

    async def on_batch(_context: PartitionContext, events: list[EventData]) -> None:
        if events:
            await queue.put(events)

    async def on_error(_context: PartitionContext | None, error: Exception) -> None:
        await queue.put(error)

    receiving = asyncio.create_task(
        client.receive_batch(
            on_batch,
            on_error=on_error,
            partition_id=partition_id,
            starting_position=_starting_position(after),
            starting_position_inclusive=isinstance(after, AtOffset),
            prefetch=PREFETCH,
        )
    )
    receiving.add_done_callback(lambda task: _report_end(task, queue))
    try:
        while True:
            item = await queue.get()
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        # Cancelling closes the link at once; the SDK's loop then sleeps for a second, which is not awaited.
        receiving.cancel()
        _closing[link] = receiving
        receiving.add_done_callback(lambda task: _forget(link, task))


def _starting_position(after: Position) -> int | str | datetime:
    if isinstance(after, AtOffset):
        return after.offset
    return "-1" if after == -1 else after


def _forget(link: tuple[EventHubConsumerClient, str], task: asyncio.Task[None]) -> None:
    if _closing.get(link) is task:
        del _closing[link]


def _report_end(task: asyncio.Task[None], queue: asyncio.Queue[list[EventData] | Exception]) -> None:
    """Enqueue the error of a receive loop that ended by itself.

    Otherwise the queue's reader would wait forever.
    """
    error = None if task.cancelled() else task.exception()
    if isinstance(error, Exception):
        with suppress(asyncio.QueueFull):
            queue.put_nowait(error)
