"""The decisions that a service makes about a stream; the runtime makes all others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from shared.streams.event import Event
from shared.streams.hub_properties import HubProperties


@dataclass(frozen=True, slots=True)
class Start:
    """Where a partition starts: the next event, and whether a skip right there is known to be a gap."""

    next_expected: int
    is_gap_known: bool = False


@dataclass(frozen=True, slots=True)
class ReceiveLimits:
    """Bounds on what one partition keeps in memory before it is handled.

    The link keeps at most `prefetch` events and `link_bytes` ready, and hands over `batch_events` at most.
    While `waiting_events` wait for the handler, the link is not read. The handler gets pieces of about
    `piece_bytes`; for so much, or `piece_events`, is waited up to `gather_s`: more cost less each.
    """

    prefetch: int
    link_bytes: int
    batch_events: int
    waiting_events: int
    piece_bytes: int
    piece_events: int = 0
    gather_s: float = 0.0


class PartitionHandler(Protocol):
    """One partition's work; one task makes all calls but `stop`. After an exception only `close` comes."""

    async def start(self) -> Start:
        """Return where the sink ends, which is where reading begins."""

    async def handle(self, events: Sequence[Event]) -> None:
        """Take in the next events, each once and in sequence.

        If the first is not the expected one, the hub no longer has those before it.
        """

    async def flush(self) -> None:
        """Make durable what was taken in, however little."""

    def due_in_s(self) -> float | None:
        """Return the seconds until `flush` is due; None if nothing waits for it."""

    def stop(self) -> None:
        """End `handle` after the step under way: the partition is about to be closed."""

    async def close(self) -> None:
        """Release what the handler holds; nothing is handled any more."""


H_co = TypeVar("H_co", bound=PartitionHandler, covariant=True)


class StreamHandler(Protocol[H_co]):
    """What is the same for all partitions of a stream."""

    async def limits(self) -> ReceiveLimits:
        """Return how much may be received, asked for at each start."""

    async def open_partitions(self, partitions: Sequence[int], hub: HubProperties) -> Mapping[int, H_co]:
        """Make the handlers of partitions that were just claimed; the hub was described before."""

    async def observe(self) -> None:
        """Look at the stream now and then, while the hub answers."""

    def note_refusal(self) -> bool:
        """Record a refusal. Return True when it has lasted past the grace period."""

    def judge_failure(self, partition: int | None, error: Exception) -> Exception | None:
        """Record why a partition, or a claim of some (None), was given up.

        Return the error that ends the stream; None if the partition is to be opened again from the sink.
        """
