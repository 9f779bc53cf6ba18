"""A connection in memory: an application with one queue and one inbox, and a peer made of frames."""

from shared.amqp import encoder as amqp
from shared.amqp.application import Application, AuthenticationFailed
from shared.amqp.connection import Connection
from shared.amqp.decoder import decode
from shared.amqp.frames import AMQP_HEADER, SASL_HEADER, Frame, FrameReader, frame
from shared.amqp.link import IncomingLink
from shared.amqp.performatives import Outcome
from shared.amqp.refusal import NOT_FOUND, Refusal
from shared.amqp.request_node import ReplySource
from shared.amqp.token_node import ADDRESS, TokenNode


class MemoryTransport:
    def __init__(self):
        self.written = bytearray()
        self.is_closed = False

    def write(self, data):
        self.written += data

    def is_closing(self):
        return self.is_closed

    def abort(self):
        self.is_closed = True


class Inbox:
    """A sink that keeps what it is sent and accepts it, except for what begins with "bad"."""

    keeps_connection_open = True

    def __init__(self, link):
        self.link = link
        self.payloads = []
        self.is_closed = False

    def deliver(self, delivery):
        self.payloads.append(delivery.payload)
        is_bad = delivery.payload.startswith(b"bad")
        self.link.settle(delivery, Refusal("example:bad", "Not this one.") if is_bad else None)

    def close(self):
        self.is_closed = True


class Queue:
    """A source of messages that are sent again if they are released."""

    keeps_connection_open = True

    def __init__(self, link, messages):
        self.link = link
        self.waiting = list(messages)
        self.sent = {}
        self.outcomes = []
        self.is_closed = False
        link.send_unsettled(self.note_outcome)

    def resume(self):
        while self.waiting and self.link.credit > 0:
            message = self.waiting.pop(0)
            self.sent[self.link.send(message)] = message
        if self.link.is_draining:
            self.link.drain()

    def note_outcome(self, delivery_id, outcome):
        self.outcomes.append((self.sent[delivery_id], outcome))
        if outcome is Outcome.RELEASED and self.link.is_open:
            self.waiting.append(self.sent[delivery_id])
            self.resume()

    def close(self):
        self.is_closed = True


class World:
    """The application, its connection, and the peer."""

    sasl_mechanisms = ("PLAIN",)
    accepted_status = 200

    def __init__(self):
        self.is_authenticated = False
        self.nodes = {}
        self.queued = [b"first", b"second", b"third"]
        self.transport = MemoryTransport()
        self._next_turn = []
        self.connection = Connection(
            Application("test", self.open_node, self), self.transport, self._next_turn.append, self.hang_up
        )
        self._reader = FrameReader(1 << 20)

    def hang_up(self):
        self.transport.is_closed = True

    def authenticate(self, mechanism, response):
        if (mechanism, response) != ("PLAIN", b"\0me\0secret"):
            raise AuthenticationFailed("wrong")
        self.is_authenticated = True

    def put_token(self, kind, audience, token):
        if token != "good":
            raise AuthenticationFailed(f"{kind} for {audience} is not good")
        self.is_authenticated = True

    def open_node(self, link, attach):
        address = attach.target_address if isinstance(link, IncomingLink) else attach.source_address
        if address == ADDRESS:
            return TokenNode(link, self) if isinstance(link, IncomingLink) else ReplySource(address)
        if address not in {"inbox", "queue"}:
            raise Refusal(NOT_FOUND, f"There is no {address}.")
        link.echoes_properties = True
        link.offered_capabilities = tuple(attach.desired_capabilities or ())
        node = self.nodes[address] = Inbox(link) if address == "inbox" else Queue(link, self.queued)
        return node

    def say(self, *frames):
        """Let the peer send; return the answers, headers as bytes and frames as (code, fields, payload)."""
        self.connection.receive(b"".join(frames))
        while self._next_turn:
            self._next_turn.pop(0)()
        written, self.transport.written = bytes(self.transport.written), bytearray()
        return [_answer(item) for item in self._reader.feed(written)]


def _answer(item):
    if not isinstance(item, Frame):
        return item.raw
    value, end = decode(item.body)
    return value.descriptor, value.value, item.body[end:]


def performative(code, *fields, channel=0, kind=0):
    return frame(channel, amqp.described(code, amqp.sequence(fields)), kind)


def attach(handle, address, *, receiver, settle_mode=amqp.NULL, capabilities=amqp.NULL, properties=amqp.NULL):
    ends = [amqp.sequence([amqp.string("me")]), amqp.sequence([amqp.string("me")])]
    ends[0 if receiver else 1] = amqp.sequence([amqp.string(address)])
    source, target = (amqp.described(code, end) for code, end in zip((0x28, 0x29), ends, strict=True))
    return performative(
        0x12,
        amqp.string(f"link-{handle}"),
        amqp.uint(handle),
        amqp.boolean(receiver),
        settle_mode,
        amqp.NULL,
        source,
        target,
        *[amqp.NULL] * 5,
        capabilities,
        properties,
    )


def credit(handle, count, *, drain=False):
    numbers = [amqp.uint(number) for number in (1, 2**31 - 1, 0, 2**31 - 1, handle, 0, count)]
    return performative(0x13, *numbers, amqp.NULL, amqp.boolean(drain))


def transfer(handle, delivery_id, payload, *, settled=False):
    fields = [amqp.uint(handle), amqp.uint(delivery_id), amqp.binary(b"t"), amqp.uint(0)]
    return frame(0, amqp.described(0x14, amqp.sequence([*fields, amqp.boolean(settled)])) + payload)


def disposition(first, last, outcome=None, *, settled=True, is_receiver=True):
    fields = [amqp.boolean(is_receiver), amqp.uint(first), amqp.uint(last), amqp.boolean(settled)]
    state = amqp.NULL if outcome is None else amqp.described(outcome, amqp.sequence([]))
    return performative(0x15, *fields, state)


SASL = SASL_HEADER + performative(0x41, amqp.symbol("PLAIN"), amqp.binary(b"\0me\0secret"), kind=1)
OPEN = AMQP_HEADER + performative(0x10, amqp.string("peer"), amqp.NULL, amqp.uint(65536))
BEGIN = performative(0x11, amqp.NULL, amqp.uint(0), amqp.uint(2**31 - 1), amqp.uint(2**31 - 1))
