"""Which node a link's address means, and whether this connection may use it."""

import re

from services.emulator.event_hubs import refusals
from services.emulator.event_hubs.event_sink import EventSink
from services.emulator.event_hubs.event_source import EventSource
from services.emulator.event_hubs.faults import Place
from services.emulator.event_hubs.hubs import Hub
from services.emulator.event_hubs.management import ManagementNode
from services.emulator.event_hubs.sas import LISTEN, SEND
from shared.amqp.link import IncomingLink, Link, OutgoingLink, Sink, Source
from shared.amqp.performatives import Attach
from shared.amqp.request_node import AnswerSource
from shared.amqp.token_node import TokenNode

CBS = "$cbs"
MANAGEMENT = "$management"

_SENDER = re.compile(r"(?P<hub>[^/]+)(?:/Partitions/(?P<partition>[^/]+))?", re.IGNORECASE)
_RECEIVER = re.compile(
    r"(?P<hub>[^/]+)/ConsumerGroups/(?P<group>[^/]+)/Partitions/(?P<partition>[^/]+)", re.IGNORECASE
)


def entity_path(address: str) -> str:
    """`amqps://host:port/hub/Partitions/0` and `/hub/Partitions/0` → `hub/Partitions/0`."""
    _, scheme, rest = address.partition("://")
    return (rest.partition("/")[2] if scheme else address).strip("/")


def opened(link: Link, attach: Attach) -> Sink | Source:
    """The node at the link's address, ready. Raises Refusal."""
    if isinstance(link, OutgoingLink):
        path = entity_path(attach.source_address)
        if path.lower() in {CBS, MANAGEMENT}:
            return AnswerSource(path.lower())
        return _source(link, attach, path)
    if not isinstance(link, IncomingLink):
        raise TypeError(type(link))
    path = entity_path(attach.target_address)
    if path.lower() == CBS:
        return TokenNode(link)
    if path.lower() == MANAGEMENT:
        return ManagementNode(link)
    return _sink(link, path)


def _sink(link: IncomingLink, path: str) -> EventSink:
    link.claim(path, SEND)
    match = _SENDER.fullmatch(path)
    hub = _hub(link, match, path)
    partition_id = match and match["partition"]
    partition = None if partition_id is None else hub.partition(partition_id)
    if partition_id is not None and partition is None:
        raise refusals.entity_not_found(path)
    link.session.connection.namespace.faults.refuse_attach(Place(hub.name, partition))
    return EventSink(link, hub, partition)


def _source(link: OutgoingLink, attach: Attach, path: str) -> EventSource:
    link.claim(path, LISTEN)
    match = _RECEIVER.fullmatch(path)
    hub = _hub(link, match, path)
    if match is None or not hub.has_group(match["group"]):
        raise refusals.entity_not_found(path)
    partition = hub.partition(match["partition"])
    if partition is None:
        raise refusals.entity_not_found(path)
    link.session.connection.namespace.faults.refuse_attach(Place(hub.name, partition, match["group"]))
    return EventSource(link, attach, hub, match["group"], partition)


def _hub(link: Link, match: re.Match[str] | None, path: str) -> Hub:
    hub = link.session.connection.namespace.hubs.find(match["hub"]) if match else None
    if hub is None:
        raise refusals.entity_not_found(path)
    return hub
