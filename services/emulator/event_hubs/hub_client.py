"""One connected client of the namespace: its tokens, and the links that the tokens allow."""

import asyncio

from services.emulator.event_hubs import bearer, refusals
from services.emulator.event_hubs.authorizations import Authorizations
from services.emulator.event_hubs.event_sink import EventSink
from services.emulator.event_hubs.event_source import EventSource
from services.emulator.event_hubs.namespace import Namespace
from services.emulator.event_hubs.nodes import NodeOpener
from services.emulator.event_hubs.sas import TOKEN_TYPE, EntityUnknown, Grant, TokenRefused
from shared.amqp.application import Application
from shared.amqp.asyncio_protocol import HANDSHAKE_TIMEOUT_S, AmqpProtocol
from shared.amqp.connection import Connection

CONTAINER_ID = "fleetprice-event-hubs"


class HubClient:
    """The authenticator of one connection. The client is in `clients` while it is connected.

    With the SASL mechanism PLAIN, the client sends a key. With the other mechanisms, it puts tokens to
    `$cbs`.
    """

    sasl_mechanisms = ("ANONYMOUS", "MSSBCBS", "PLAIN", "EXTERNAL")
    accepted_status = 202

    def __init__(
        self, namespace: Namespace, clients: "set[HubClient]", *, patience_s: float = HANDSHAKE_TIMEOUT_S
    ) -> None:
        self._namespace = namespace
        self._clients = clients
        self.authorizations = Authorizations(
            namespace.keys, asyncio.get_running_loop(), namespace.now_s, self._detach_lapsed
        )
        opener = NodeOpener(namespace, self.authorizations, self)
        self.protocol = AmqpProtocol(
            Application(CONTAINER_ID, opener.open_node, self, refusals.TABLE),
            idle_s=namespace.idle_s,
            patience_s=patience_s,
            on_connected=lambda: clients.add(self),
            on_lost=self._stop,
        )

    @property
    def connection(self) -> Connection:
        return self.protocol.connection

    @property
    def is_authenticated(self) -> bool:
        return bool(self.authorizations)

    def authenticate(self, mechanism: str, response: bytes) -> None:
        """Grant a client of the mechanism PLAIN what its key allows.

        Raises TokenRefused if the key is unknown or the response is malformed.
        """
        if mechanism == "PLAIN":
            try:
                _, name, password = response.decode().split("\0")
            except ValueError as exc:
                raise TokenRefused("a name and a password are expected") from exc
            self._admit(self._namespace.keys.plain_grant(name, password))

    def put_token(self, kind: str, audience: str, token: str) -> None:
        """Grant a client what its token allows.

        If the token is invalid, withdraws what earlier tokens allowed and raises TokenRefused. Raises
        EntityUnknown if it is valid, but for a hub that does not exist [azure-service-bus#304].
        """
        try:
            grant = self._verify(kind, audience, token)
        except TokenRefused:
            self.authorizations.clear()
            raise
        hub = grant.scope.partition("/")[0]
        if hub and self._namespace.hubs.find(hub) is None:
            raise EntityUnknown(refusals.entity_not_found(audience).description)
        self._admit(grant)

    def _verify(self, kind: str, audience: str, token: str) -> Grant:
        if kind == TOKEN_TYPE:
            return self._namespace.keys.grant(token, audience, self._namespace.now_s())
        if kind.lower() in bearer.TOKEN_TYPES:
            return bearer.grant_from_token(self._namespace.issuer, token, audience)
        raise TokenRefused(f"only tokens of the types {TOKEN_TYPE} and jwt are accepted")

    def _admit(self, grant: Grant) -> None:
        """Add the grant and accept large frames. Raises Refusal if the client has too many grants."""
        self.authorizations.put(grant)
        self.connection.allow_large_frames()

    def _detach_lapsed(self, reason: str) -> None:
        """Detach the links that the remaining tokens do not allow."""
        for link in self.connection.links:
            node = link.node
            if isinstance(node, (EventSink, EventSource)) and not self.authorizations.covers(
                node.path, node.claim
            ):
                link.detach(refusals.lapsed(reason, node.claim, node.path))

    def _stop(self) -> None:
        self._clients.discard(self)
        self.authorizations.stop()
