"""The parts that a connection needs from the program that it serves. Pure: no I/O."""

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
    """The peer has not proved who it is; the error's message says why.

    `status` is the answer's status at `$cbs`.
    """

    status = 401


class Authenticator(Protocol):
    """The part of an application that decides who the peer of one connection is."""

    @property
    def sasl_mechanisms(self) -> Sequence[str]: ...

    @property
    def is_authenticated(self) -> bool:
        """Whether the peer has proved who it is.

        An authenticated peer may hold more memory and send larger frames.
        """
        ...

    def authenticate(self, mechanism: str, response: bytes) -> None:
        """Check a SASL response for one of the offered mechanisms.

        Raises AuthenticationFailed if the response does not prove who the peer is.
        """
        ...


@dataclass(frozen=True, slots=True)
class Application:
    """The parts of a program that one connection uses.

    `container_id` is the program's name in the OPEN performative.
    """

    container_id: str
    open_node: NodeResolver
    authenticator: Authenticator
    refusals: RefusalTable = field(default_factory=RefusalTable)
