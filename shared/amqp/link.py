"""The two kinds of link on a session: one on which the client sends, one on which it receives."""

from typing import TYPE_CHECKING, NamedTuple, Protocol

from services.emulator.event_hubs import refusals
from services.emulator.event_hubs.refusals import Refusal
from services.emulator.event_hubs.transfers import message_frames
from shared.amqp import performative_encoder
from shared.amqp.memory_quota import LINK_BYTES
from shared.amqp.performatives import Attach, Flow, Transfer

if TYPE_CHECKING:
    from shared.amqp.session import Session

CREDIT = 1000
MAX_MESSAGE_BYTES = 1024 * 1024
_UINT_MASK = 0xFFFFFFFF
_SIGN_BIT = 0x80000000


def serial_difference(a: int, b: int) -> int:
    """How far `a` is ahead of `b` in the 32-bit serial numbers of AMQP; 0 where it is behind."""
    difference = (a - b) & _UINT_MASK
    return 0 if difference & _SIGN_BIT else difference


class Delivery(NamedTuple):
    delivery_id: int
    message_format: int
    is_settled: bool
    payload: bytes


class Sink(Protocol):
    """What takes in the deliveries of an incoming link."""

    def deliver(self, delivery: Delivery) -> None: ...

    def closed(self) -> None: ...


class Source(Protocol):
    """What feeds an outgoing link."""

    def credit_changed(self) -> None: ...

    def closed(self) -> None: ...


class Link:
    """What both kinds have in common: a name, a handle, and an end."""

    def __init__(self, session: "Session", attach: Attach) -> None:
        self.session = session
        self.name = attach.name
        self.handle = attach.handle
        self.is_open = True
        self.held_bytes = LINK_BYTES + len(attach.name) + len(attach.target_address)
        self.max_message_bytes = MAX_MESSAGE_BYTES
        self.node: Sink | Source | None = None
        self._right: tuple[str, str] | None = None

    def claim(self, path: str, claim: str) -> None:
        """Open only to a client that may, and only for as long as it may. Raises Refusal."""
        self.session.connection.grants.demand(path, claim)
        self._right = path, claim

    @property
    def carries_events(self) -> bool:
        return self.is_open and self._right is not None

    def lapse(self, reason: str) -> None:
        """Detach where the client is no longer allowed what the link does."""
        if self._right is not None and not self.session.connection.grants.covers(*self._right):
            path, claim = self._right
            self.detach(refusals.lapsed(reason, claim, path))

    def detach(self, refusal: Refusal | None = None) -> None:
        """Tell the client and stop; its own detach is awaited before the handle is free again."""
        if self.is_open:
            self.session.send(performative_encoder.detach(self.handle, refusal))
            self.end()

    def end(self) -> None:
        """The link is over, whoever ended it."""
        if self.is_open:
            self.is_open = False
            if self.node is not None:
                self.node.closed()


class IncomingLink(Link):
    """The client sends; the server grants credit and answers each delivery."""

    node: Sink

    def __init__(self, session: "Session", attach: Attach) -> None:
        super().__init__(session, attach)
        self._delivery_count = attach.initial_delivery_count or 0
        self._credit = 0
        self._first: Transfer | None = None
        self._partial = bytearray()
        self._size_bytes = 0

    def grant_credit(self) -> None:
        self._credit = CREDIT
        self.session.send_flow((self.handle, self._delivery_count, CREDIT))

    def transfer(self, transfer: Transfer, payload: bytes) -> None:
        if self._first is None:
            self._first = transfer
        if transfer.aborted:
            self._reset()
            return
        self._size_bytes += len(payload)
        if transfer.more:
            self._keep(payload)
            return
        whole = bytes(self._partial + payload) if self._partial else payload
        size_bytes, first = self._size_bytes, self._first
        self._reset()
        self._delivery_count = (self._delivery_count + 1) & _UINT_MASK
        self._credit -= 1
        is_settled = bool(first.settled or transfer.settled)
        delivery = Delivery(first.delivery_id or 0, first.message_format or 0, is_settled, whole)
        if size_bytes > self.max_message_bytes:
            refusal = refusals.message_too_large(delivery.delivery_id, size_bytes, self.max_message_bytes)
            self.settle(delivery, refusal)
        else:
            self.node.deliver(delivery)
        if self._credit <= CREDIT // 2 and self.is_open:
            self.grant_credit()

    def _keep(self, payload: bytes) -> None:
        if self._size_bytes > self.max_message_bytes:
            # It will be refused when it ends: what comes until then is counted and forgotten.
            self._forget()
            return
        self._partial += payload
        self.session.connection.allowance.hold(len(payload))

    def end(self) -> None:
        self._reset()
        super().end()

    def _reset(self) -> None:
        self._first = None
        self._size_bytes = 0
        self._forget()

    def _forget(self) -> None:
        self.session.connection.allowance.let_go(len(self._partial))
        self._partial = bytearray()

    def settle(self, delivery: Delivery, refusal: Refusal | None = None) -> None:
        """Accept the delivery, or reject it; a client that settled it beforehand hears nothing."""
        if not delivery.is_settled:
            self.session.send(performative_encoder.disposition(delivery.delivery_id, refusal))


class OutgoingLink(Link):
    """The client receives, as many deliveries as it grants credit for."""

    node: Source

    def __init__(self, session: "Session", attach: Attach) -> None:
        super().__init__(session, attach)
        self.target_address = attach.target_address
        self.credit = 0
        self.is_draining = False
        self._delivery_count = 0

    def flow(self, flow: Flow) -> None:
        granted_until = (flow.delivery_count or 0) + (flow.link_credit or 0)
        self.credit = serial_difference(granted_until, self._delivery_count)
        self.is_draining = bool(flow.drain)
        self.node.credit_changed()
        if flow.echo:
            self.send_flow()

    def sent(self, events: int, frames: int) -> None:
        """Count what the source has just written."""
        self.credit -= events
        self._delivery_count = (self._delivery_count + events) & _UINT_MASK
        self.session.count_sent(events, frames)

    def send(self, message: bytes) -> None:
        """One message by itself: an answer, for which request nodes do not wait for credit."""
        connection = self.session.connection
        frames = list(
            message_frames(
                self.session.channel,
                self.handle,
                self.session.next_delivery_id,
                message,
                connection.max_frame_bytes - 64,
            )
        )
        connection.outbox.write(frames)
        self.sent(1, len(frames))

    def drained(self) -> None:
        """Nothing more is there: use up the credit, as a draining client asked."""
        self._delivery_count = (self._delivery_count + self.credit) & _UINT_MASK
        self.credit = 0
        self.is_draining = False
        self.send_flow()

    def send_flow(self) -> None:
        self.session.send_flow((self.handle, self._delivery_count, self.credit))
