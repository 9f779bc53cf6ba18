"""Misbehaviour on request, so that a reader's or sender's recovery can be tested.

Some faults happen at once to the links that are there (`detach`, `close`); the others lie in wait for the
next sends that they match (`lose_answer`).
"""

from typing import Annotated, Literal, Protocol

import msgspec

from services.emulator.event_hubs import conditions
from services.emulator.event_hubs.conditions import Refusal
from shared.log_events import EventLog

log = EventLog(__name__)


class EventLink(Protocol):
    """A link that carries events: a sink (no group) or a source. A sink's partition may be None: any."""

    hub_name: str
    partition: int | None
    group: str | None

    def detach(self, refusal: Refusal) -> None: ...

    def close_connection(self, refusal: Refusal) -> None: ...


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """What goes wrong and for whom; a field that is not given matches everything.

    `times` counts the sends that a waiting fault strikes. `role` says which links the others strike.
    """

    kind: Literal["detach", "close", "lose_answer"]
    hub: str | None = None
    partition: str | None = None
    group: str | None = None
    role: Literal["receiver", "sender"] | None = "receiver"
    times: Annotated[int, msgspec.Meta(ge=1)] = 1

    def strikes(self, hub: str, partition: int | None) -> bool:
        return (self.hub is None or self.hub.lower() == hub.lower()) and (
            self.partition is None or self.partition == str(partition)
        )

    def strikes_link(self, link: EventLink) -> bool:
        role = "sender" if link.group is None else "receiver"
        return (
            self.strikes(link.hub_name, link.partition)
            and self.role in {None, role}
            and (self.group is None or self.group.lower() == (link.group or "").lower())
        )


class Faults:
    def __init__(self) -> None:
        self.links: set[EventLink] = set()
        self._waiting: list[Fault] = []

    def inject(self, fault: Fault) -> int:
        """Let it happen, or lie in wait; returns how many links it struck at once."""
        log.info("fault_injected", **msgspec.structs.asdict(fault))
        if fault.kind == "lose_answer":
            self._waiting.append(fault)
            return 0
        struck = [link for link in self.links if fault.strikes_link(link)]
        for link in struck:
            if fault.kind == "detach":
                link.detach(Refusal(conditions.DETACH_FORCED, "The link was detached by an injected fault."))
            else:
                link.close_connection(
                    Refusal(conditions.CONNECTION_FORCED, "The connection was closed by an injected fault.")
                )
        return len(struck)

    def loses_answer(self, hub: str, partition: int) -> bool:
        """Whether the answer to this send is to be lost (it is counted)."""
        for fault in self._waiting:
            if fault.kind == "lose_answer" and fault.strikes(hub, partition):
                fault.times -= 1
                if not fault.times:
                    self._waiting.remove(fault)
                return True
        return False

    def clear(self) -> None:
        """Forget the faults that lie in wait."""
        self._waiting.clear()
