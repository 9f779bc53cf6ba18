"""What a connection needs from the program that it serves. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from shared.amqp.link import Link, Sink, Source
from shared.amqp.performatives import Attach
from shared.amqp.refusal import RefusalTable

# Returns the node at a link's address, a Sink for an incoming link and a Source for an outgoing one. Raises
# Refusal. It may set the link's limits and what its ATTACH offers, and let its deliveries stay unsettled.
NodeResolver = Callable[[Link, Attach], Sink | Source]


class AuthenticationFailed(Exception):
    """The peer has not proved who it is; the message says why."""


class Authenticator(Protocol):
    """Decides who one connection's peer is."""

    @property
    def sasl_mechanisms(self) -> Sequence[str]: ...

    @property
    def is_authenticated(self) -> bool:
        """Whether the peer has proved who it is; it may hold more memory and send larger frames then."""
        ...

    def authenticate(self, mechanism: str, response: bytes) -> None:
        """Check a SASL response of one of the mechanisms. Raises AuthenticationFailed."""
        ...


@dataclass(frozen=True, slots=True)
class Application:
    """The parts that one connection is handed. `container_id` names the program in OPEN."""

    container_id: str
    open_node: NodeResolver
    authenticator: Authenticator
    refusals: RefusalTable = field(default_factory=RefusalTable)
