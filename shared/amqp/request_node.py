"""Nodes that answer requests over a link of the same session (AMQP management and `$cbs`). Pure: no I/O."""

import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

from shared.amqp import encoder as amqp
from shared.amqp.decoder import DecodeError
from shared.amqp.link import Delivery, IncomingLink, OutgoingLink
from shared.amqp.refusal import DECODE_ERROR, Refusal
from shared.amqp.sections import APPLICATION_PROPERTIES, PROPERTIES, VALUE, decode_sections

# Requests may come before the peer is authenticated; no token is longer.
MAX_REQUEST_BYTES = 64 * 1024
_PROPERTIES_FIELDS = 13
_MESSAGE_ID_FIELD, _REPLY_TO_FIELD, _CORRELATION_ID_FIELD = 0, 4, 5


class Request(NamedTuple):
    """A request that a peer has sent to a request node."""

    message_id: object
    reply_to: str | None
    properties: dict[Any, Any]
    body: object


def decode_request(message: bytes) -> Request:
    """Decode the message of a request. Raises DecodeError if the message is malformed."""
    sections = {code: value for code, value in decode_sections(message) if isinstance(code, (int, str))}
    fields = sections.get(PROPERTIES) or []
    properties = sections.get(APPLICATION_PROPERTIES) or {}
    if not isinstance(fields, list) or not isinstance(properties, dict):
        raise DecodeError("a message's properties are not a list or its application properties not a map")
    fields = [*fields, *[None] * _PROPERTIES_FIELDS]
    reply_to = fields[_REPLY_TO_FIELD]
    return Request(
        fields[_MESSAGE_ID_FIELD],
        reply_to if isinstance(reply_to, str) else None,
        properties,
        sections.get(VALUE),
    )


def encode_response(
    request: Request, status: int, description: str, body: bytes, condition: str = ""
) -> bytes:
    """Encode the answer to a request.

    The answer's correlation id has the same AMQP type as the request's message id.
    """
    fields = [amqp.NULL] * _PROPERTIES_FIELDS
    fields[_CORRELATION_ID_FIELD] = _encode_message_id(request.message_id)
    properties: Mapping[str, bytes] = {
        "status-code": amqp.integer(status),
        "status-description": amqp.string(description),
    } | ({"error-condition": amqp.symbol(condition)} if condition else {})
    named = ((amqp.string(name), value) for name, value in properties.items())
    return (
        amqp.described(PROPERTIES, amqp.sequence(fields))
        + amqp.described(APPLICATION_PROPERTIES, amqp.mapping(named))
        + amqp.described(VALUE, body)
    )


def _encode_message_id(value: object) -> bytes:
    if isinstance(value, uuid.UUID):
        return amqp.uuid(value)
    if isinstance(value, str):
        return amqp.string(value)
    if isinstance(value, bytes):
        return amqp.binary(value)
    return amqp.ulong(value) if isinstance(value, int) and value >= 0 else amqp.NULL


class ReplySource:
    """The source that carries a request node's answers, which are sent without waiting for credit."""

    keeps_connection_open = False

    def __init__(self, address: str) -> None:
        self.address = address

    def resume(self) -> None:
        """Do nothing, because no answer ever waits."""

    def close(self) -> None:
        """Do nothing, because the source holds nothing."""


class RequestNode(ABC):
    """A sink that answers each delivery.

    The answers leave on a receiving link of the same session that has the same address.
    """

    address: str
    keeps_connection_open = False

    def __init__(self, link: IncomingLink) -> None:
        self.link = link
        link.max_message_bytes = MAX_REQUEST_BYTES

    @abstractmethod
    def answer(self, request: Request) -> bytes:
        """Return the whole encoded message that answers `request`."""

    def deliver(self, delivery: Delivery) -> None:
        try:
            request = decode_request(delivery.payload)
        except DecodeError as exc:
            self.link.settle(delivery, Refusal(DECODE_ERROR, str(exc)))
            return
        self.respond(delivery, request)

    def respond(self, delivery: Delivery, request: Request) -> None:
        """Answer the request at once; a node may override this to answer later or differently."""
        self.reply(delivery, self.answer(request), request.reply_to)

    def reply(self, delivery: Delivery, answer: bytes, reply_to: str | None) -> None:
        # The disposition first: pyamqp (5.15.1) forgets the request if it comes after the answer.
        self.link.settle(delivery)
        if receiver := self._find_receiver(reply_to):
            receiver.send(answer)

    def _find_receiver(self, reply_to: str | None) -> OutgoingLink | None:
        candidates = [
            link
            for link in self.link.siblings.values()
            if isinstance(link, OutgoingLink)
            and link.is_open
            and isinstance(link.node, ReplySource)
            and link.node.address == self.address
        ]
        named = [link for link in candidates if reply_to and link.target_address == reply_to]
        return next(iter(named or candidates), None)

    def close(self) -> None:  # noqa: B027  # no node holds anything
        """Do nothing, because the node holds nothing."""
