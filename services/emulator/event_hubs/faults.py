"""Injected faults, to test how readers and senders recover.

In a test: `server.faults.inject(Fault("reject", hub="telemetry", times=2))`; over HTTP the same fields as
JSON, `POST /faults {"kind": "reject", "hub": "telemetry", "times": 2}`. docs/emulator-faults.md shows each.
"""

import time
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

import msgspec

from services.emulator.armed_faults import MAX_DELAY_MS, ArmedFault, FaultBook, FaultSchedule, demand
from services.emulator.event_hubs import refusals
from shared.amqp.refusal import CONNECTION_FORCED, DETACH_FORCED, Refusal

SERVICE = "event_hubs"

Kind = Literal["reject", "delay", "detach", "close", "steal", "lose_answer", "fill_up"]
At = Literal["now", "send", "answer", "delivery", "attach", "management"]

# Where each kind may occur; the first is the default.
_PLACES: dict[str, tuple[At, ...]] = {
    "reject": ("send", "attach", "management"),
    "delay": ("answer", "send", "delivery", "management"),
    "detach": ("now", "send", "answer"),
    "close": ("now", "send", "answer"),
    "steal": ("now",),
    "lose_answer": ("answer",),
    "fill_up": ("send",),
}
_CONDITIONS = {
    "reject": refusals.SERVER_BUSY,
    "detach": DETACH_FORCED,
    "close": CONNECTION_FORCED,
}
_KNOW_GROUPS = ("now", "delivery", "attach")
_MAX_TEXT_CHARS = 1024


class Place(NamedTuple):
    """The hub, partition and group of an operation.

    `group` is None for a sender; `partition` is None for a sender to the whole hub.
    """

    hub: str
    partition: int | None
    group: str | None = None


class EventLink(Protocol):
    """A link that carries events: the link of a sink or of a source."""

    name: str
    epoch: int | None
    hub_name: str
    place: Place

    def detach(self, refusal: Refusal) -> None: ...

    def close_connection(self, refusal: Refusal) -> None: ...


class Fault(FaultSchedule, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A fault (`kind`), when it occurs (`at`), and whom it affects.

    Of the fields that say whom it affects, one that is None matches everything. `at` is one of:

    - "now": at once, to the open links
    - "send": when a delivery has been received, before it is appended
    - "answer": after the append
    - "delivery": when events are about to be written to a reader
    - "attach": when a link is being opened
    - "management": at a request for the properties of the hub or a partition
    """

    kind: Kind
    hub: str | None = None
    partition: str | None = None
    group: str | None = None
    role: Literal["receiver", "sender"] | None = None
    at: At | None = None
    condition: str | None = None
    description: str | None = None
    delay_ms: float | None = None
    service: Literal["event_hubs"] = "event_hubs"

    def __post_init__(self) -> None:
        """Raises ValueError if the fields contradict each other."""
        super().__post_init__()
        places = _PLACES.get(self.kind, ())
        demand(bool(places), f"kind is one of {', '.join(_PLACES)}")
        if self.at is None:
            msgspec.structs.force_setattr(self, "at", places[0])
        demand(self.at in places, f"{self.kind} strikes at {' or '.join(places)}, not at {self.at}")
        self._check_match()
        self._check_content()

    def _check_match(self) -> None:
        demand(
            self.at != "now" or self.is_default,
            f"{self.kind} happens now, to the links that are there: times, seconds, after and probability "
            "are for faults that lie in wait",
        )
        demand(
            self.role is None or self.at in {"now", "attach"},
            f"role says which links are struck now or at attach; at {self.at} it is known already",
        )
        demand(self.group is None or self.at in _KNOW_GROUPS, f"there is no consumer group at {self.at}")
        demand(self.group is None or self.role != "sender", "senders have no consumer group")
        demand(self.kind != "steal" or self.role != "sender", "only receivers can lose their link to another")

    def _check_content(self) -> None:
        if self.kind == "delay":
            demand(
                self.delay_ms is not None and 0 < self.delay_ms <= MAX_DELAY_MS,
                f"delay needs delay_ms, above 0 and at most {MAX_DELAY_MS}",
            )
        else:
            demand(self.delay_ms is None, f"delay_ms is for delay, not for {self.kind}")
        if self.kind not in _CONDITIONS:
            demand(
                self.condition is None and self.description is None,
                f"condition and description are for {', '.join(_CONDITIONS)}, not for {self.kind}",
            )
        if self.condition is not None:
            is_symbol = (
                self.condition.isascii() and self.condition.isprintable() and " " not in self.condition
            )
            demand(
                is_symbol and 0 < len(self.condition) <= _MAX_TEXT_CHARS,
                "condition is an AMQP symbol like com.microsoft:server-busy",
            )
        demand(
            len(self.description or "") <= _MAX_TEXT_CHARS,
            f"description has at most {_MAX_TEXT_CHARS} characters",
        )

    @property
    def delay_s(self) -> float:
        return (self.delay_ms or 0) / 1000

    def refusal(self) -> Refusal:
        """Return the refusal that the client receives."""
        condition = self.condition or _CONDITIONS[self.kind]
        return Refusal(condition, self.description or refusals.injected_description(condition))

    def fits(self, place: Place) -> bool:
        return (
            (self.hub is None or self.hub.lower() == place.hub.lower())
            and (self.partition is None or self.partition == str(place.partition))
            and (self.group is None or self.group.lower() == (place.group or "").lower())
            and (self.role is None or (self.role == "sender") == (place.group is None))
        )


class Faults:
    """The armed faults of a namespace; `links` are the namespace's open links that carry events."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.links: set[EventLink] = set()
        self.book: FaultBook[Fault] = FaultBook(SERVICE, clock)

    @property
    def is_armed(self) -> bool:
        """Whether any fault is armed; the check is cheap enough for a hot path."""
        return self.book.is_armed

    def inject(self, fault: Fault) -> ArmedFault[Fault]:
        """Apply the fault to the open links now if its `at` is "now"; otherwise arm it.

        The result counts the operations or links that the fault affects.
        """
        if fault.at != "now":
            return self.book.arm(fault)
        struck = [link for link in self.links if fault.fits(link.place)]
        if fault.kind == "steal":
            struck = [link for link in struck if link.place.group is not None]
        for link in struck:
            if fault.kind == "close":
                link.close_connection(fault.refusal())
            elif fault.kind == "detach":
                link.detach(fault.refusal())
            else:
                epoch = link.epoch or 0
                link.detach(refusals.stolen(link.name, epoch, "an injected fault", epoch + 1))
        return self.book.record_immediate(fault, len(struck))

    def consume(self, at: At, place: Place) -> Fault | None:
        """Return the next armed fault for this operation and decrement its count.

        Return None if no armed fault fits.
        """
        return self.book.consume(lambda fault: fault.at == at and fault.fits(place))

    def refuse_attach(self, place: Place) -> None:
        """Raises Refusal if a fault is armed for a link being opened at this place."""
        if fault := self.consume("attach", place):
            raise fault.refusal()

    def clear(self) -> None:
        """Disarm all faults."""
        self.book.clear()
