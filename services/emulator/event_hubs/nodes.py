"""The nodes of the namespace by address, and the check that a connection may use them."""

import re

from services.emulator.event_hubs import refusals
from services.emulator.event_hubs.authorizations import Authorizations
from services.emulator.event_hubs.event_sink import EventSink
from services.emulator.event_hubs.event_source import EventSource
from services.emulator.event_hubs.faults import Place
from services.emulator.event_hubs.hubs import Hub
from services.emulator.event_hubs.management import ManagementNode
from services.emulator.event_hubs.namespace import Namespace
from services.emulator.event_hubs.sas import LISTEN, SEND
from shared.amqp import token_node
from shared.amqp.link import IncomingLink, Link, OutgoingLink, Sink, Source
from shared.amqp.performatives import Attach
from shared.amqp.request_node import ReplySource
from shared.amqp.token_node import TokenAuthenticator, TokenNode

_CAPABILITIES = ("com.microsoft:georeplication", "com.microsoft:enable-receiver-runtime-metric")
_SENDER = re.compile(r"(?P<hub>[^/]+)(?:/Partitions/(?P<partition>[^/]+))?", re.IGNORECASE)
_RECEIVER = re.compile(
    r"(?P<hub>[^/]+)/ConsumerGroups/(?P<group>[^/]+)/Partitions/(?P<partition>[^/]+)", re.IGNORECASE
)


def entity_path(address: str) -> str:
    """Return the path of an address: `hub/Partitions/0` for `amqps://host:port/hub/Partitions/0`."""
    _, scheme, rest = address.partition("://")
    return (rest.partition("/")[2] if scheme else address).strip("/")


class NodeOpener:
    """The node resolver of one connection: it opens the node that a link addresses."""

    def __init__(
        self, namespace: Namespace, authorizations: Authorizations, tokens: TokenAuthenticator
    ) -> None:
        self._namespace = namespace
        self._authorizations = authorizations
        self._tokens = tokens

    def open_node(self, link: Link, attach: Attach) -> Sink | Source:
        """Open the node at the link's address.

        Raises Refusal if there is no such node or the connection may not use it.
        """
        desired = attach.desired_capabilities
        desired = desired if isinstance(desired, list) else [desired]
        link.offered_capabilities = tuple(name for name in _CAPABILITIES if name in desired)
        if isinstance(link, OutgoingLink):
            return self._open_source(link, attach, entity_path(attach.source_address))
        if not isinstance(link, IncomingLink):
            raise TypeError(type(link))
        return self._open_sink(link, entity_path(attach.target_address))

    def _open_sink(self, link: IncomingLink, path: str) -> Sink:
        if path.lower() == token_node.ADDRESS:
            return TokenNode(link, self._tokens)
        if path.lower() == ManagementNode.address:
            return ManagementNode(link, self._namespace, self._authorizations)
        self._authorizations.demand(path, SEND)
        match = _SENDER.fullmatch(path)
        hub = self._find_hub(match, path)
        partition_id = match and match["partition"]
        partition = None if partition_id is None else hub.partition(partition_id)
        if partition_id is not None and partition is None:
            raise refusals.entity_not_found(path)
        self._namespace.faults.refuse_attach(Place(hub.name, partition))
        return EventSink(link, self._namespace, hub, partition, path)

    def _open_source(self, link: OutgoingLink, attach: Attach, path: str) -> Source:
        if path.lower() in {token_node.ADDRESS, ManagementNode.address}:
            return ReplySource(path.lower())
        self._authorizations.demand(path, LISTEN)
        match = _RECEIVER.fullmatch(path)
        hub = self._find_hub(match, path)
        if match is None or not hub.has_group(match["group"]):
            raise refusals.entity_not_found(path)
        partition = hub.partition(match["partition"])
        if partition is None:
            raise refusals.entity_not_found(path)
        self._namespace.faults.refuse_attach(Place(hub.name, partition, match["group"]))
        return EventSource(link, attach, self._namespace, hub, match["group"], partition, path)

    def _find_hub(self, match: re.Match[str] | None, path: str) -> Hub:
        hub = self._namespace.hubs.find(match["hub"]) if match else None
        if hub is None:
            raise refusals.entity_not_found(path)
        return hub
