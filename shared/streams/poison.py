"""Events that end their decoder: each becomes a dead letter, so that none stops its partition for ever."""

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from prometheus_client import Counter

from shared.codec.body_decoder import BodyDecoder, Decoded, reject_body
from shared.streams.event import Event, decode_body

log = structlog.get_logger()

NAMED_BY_OPERATOR = "named by operator"
POISON = "poison"
POISONED = Counter(
    "fleetprice_streams_poisoned_events_total", "Events that ended their decoder twice, by hub", ["hub"]
)

# More poisoned events than this while a partition is open are a fault of the decoder, not of the events.
MAX_POISONED = 100
_ATTEMPTS = 2


@dataclass(slots=True)
class GuardedDecoder:
    """A decoder of one partition's events, one at a time.

    An event that `named` holds is dead-lettered undecoded. One whose decoding raises an error twice is
    dead-lettered as poison.
    """

    make_decoder: Callable[[], BodyDecoder]
    hub: str
    partition: int
    named: frozenset[int] = frozenset()
    poisoned: dict[int, str] = field(default_factory=dict)
    alone: frozenset[int] = field(init=False)
    _decoder: BodyDecoder = field(init=False)

    def __post_init__(self) -> None:
        """Begin with the named events in `alone`: those known to be dead letters, not to be decoded."""
        self.alone = self.named
        self._decoder = self.make_decoder()

    def decode(self, event: Event) -> Decoded:
        """Decode the records of an event.

        Raises the decoder's error if too many events were poisoned already, or if memory ran out.
        """
        if event.sequence_number in self.named:
            return reject_body(event.body, NAMED_BY_OPERATOR)
        if event.sequence_number not in self.poisoned:
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    return decode_body(self._decoder, event)
                except MemoryError:
                    raise  # the cause may be anything in this process
                except Exception as error:  # noqa: BLE001 - one event must not stop its partition
                    self._decoder = self.make_decoder()  # the error may have left it in the middle of a body
                    if attempt == _ATTEMPTS:
                        self.poison(event.sequence_number, f"{type(error).__name__}: {error}", error)
        return reject_body(event.body, self.poisoned[event.sequence_number])

    def poison(self, sequence_number: int, reason: str, error: Exception | None = None) -> None:
        """Make an event a dead letter. Raises `error` if there are too many of them."""
        first_line = reason.partition("\n")[0]
        if len(self.poisoned) >= MAX_POISONED:
            raise RuntimeError(f"event {sequence_number} ends its decoder: {first_line}") from error
        self.poisoned[sequence_number] = f"{POISON}: {first_line}"
        self.alone = self.alone | {sequence_number}
        POISONED.labels(self.hub).inc()
        log.error(
            "event_poisoned",
            hub=self.hub,
            partition=self.partition,
            sequence_number=sequence_number,
            reason=first_line,
        )
