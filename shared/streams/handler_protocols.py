"""Protocols by which a service decides about a stream; the runtime decides everything else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from shared.streams.event import Event
from shared.streams.hub_properties import HubProperties


@dataclass(frozen=True, slots=True)
class Start:
    """The first event to read of a partition; `is_gap_known`: a skip at this event is a gap of the hub."""

    next_expected: int
    is_gap_known: bool = False


@dataclass(frozen=True, slots=True)
class ReceiveLimits:
    """Bounds on what one partition keeps in memory before it is handled.

    The link keeps at most `prefetch` events and `link_bytes` ready, and hands over at most `batch_events`.
    While `waiting_events` wait for the handler, the link is not read. The handler gets pieces of about
    `piece_bytes`. The task waits up to `gather_s` for a piece of that size, or of `piece_events`: handling
    more events together costs less for each.
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

        If the first is not the expected one, the hub no longer has the events before it.
        """

    async def flush(self) -> None:
        """Make all handled events durable."""

    def due_in_s(self) -> float | None:
        """Return the seconds until `flush` is due; None if nothing waits for it."""

    def stop(self) -> None:
        """Make `handle` return after its current step, because the partition is about to be closed."""

    async def close(self) -> None:
        """Release the handler's resources; no other call follows."""


H_co = TypeVar("H_co", bound=PartitionHandler, covariant=True)


class StreamHandler(Protocol[H_co]):
    """The decisions for all partitions of one stream."""

    async def limits(self) -> ReceiveLimits:
        """Return the bounds on receiving; called at each start."""

    async def open_partitions(self, partitions: Sequence[int], hub: HubProperties) -> Mapping[int, H_co]:
        """Make handlers for partitions that were just claimed; `hub` was read before this call."""

    async def observe(self) -> None:
        """Check or measure the stream; called at every look interval while the hub answers."""

    def note_refusal(self) -> bool:
        """Record a refusal. Return True when it has lasted past the grace period."""

    def judge_failure(self, partition: int | None, error: Exception) -> Exception | None:
        """Record why a partition, or a claim of several (`partition` is None), was given up.

        Return the error that ends the stream; None to open the partition again from the sink.
        """
