"""Protocols for the decisions that a service makes about a stream; the runtime makes all others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from shared.streams.event import Event
from shared.streams.hub_properties import HubProperties


@dataclass(frozen=True, slots=True)
class Start:
    """The first event to read of a partition.

    If `is_gap_known`, a skip at this event is known to be a gap: the hub no longer has the missing events.
    """

    next_expected: int
    is_gap_known: bool = False


@dataclass(frozen=True, slots=True)
class ReceiveLimits:
    """Bounds on what one partition keeps in memory before it is handled.

    The link buffers at most `prefetch` events and `link_bytes` bytes, and hands over at most `batch_events`
    at once. While `waiting_events` or more wait for the handler, the link is not read. The handler gets
    pieces of about `piece_bytes`. The task waits up to `gather_s` seconds until events of `piece_bytes` or
    `piece_events` events are gathered: handling more events together costs less for each.
    """

    prefetch: int
    link_bytes: int
    batch_events: int
    waiting_events: int
    piece_bytes: int
    piece_events: int = 0
    gather_s: float = 0.0


class PartitionHandler(Protocol):
    """The work on one partition.

    One task makes all calls except `stop`. After an exception only `close` is called.
    """

    async def start(self) -> Start:
        """Return the first event to read: the one after the last in the sink."""

    async def handle(self, events: Sequence[Event]) -> None:
        """Process the next events, each once and in sequence.

        If the first event is not the expected one, the hub no longer has the events in between.
        """

    async def flush(self) -> None:
        """Make all handled events durable."""

    def due_in_s(self) -> float | None:
        """Return the seconds until `flush` is due, or None if there is nothing to flush."""

    def stop(self) -> None:
        """Make `handle` return after its current step, because the partition is about to be closed."""

    async def close(self) -> None:
        """Release the handler's resources; no other call follows."""


H_co = TypeVar("H_co", bound=PartitionHandler, covariant=True)


class StreamHandler(Protocol[H_co]):
    """The decisions for all partitions of one stream."""

    async def limits(self) -> ReceiveLimits:
        """Return the bounds on receiving; called each time receiving starts."""

    async def open_partitions(self, partitions: Sequence[int], hub: HubProperties) -> Mapping[int, H_co]:
        """Make handlers for partitions that were just claimed.

        `hub` holds the hub's properties, read before this call.
        """

    async def observe(self) -> None:
        """Check or measure the stream; called at regular intervals as long as the hub answers."""

    def note_refusal(self) -> bool:
        """Record that the hub refused access. Return True if refusals have lasted past the grace period."""

    def judge_failure(self, partition: int | None, error: Exception) -> Exception | None:
        """Record why a partition was given up, or, if `partition` is None, why a claim of several was.

        Return the error if it must end the stream, or None if the partition is to be opened again from the
        sink.
        """
