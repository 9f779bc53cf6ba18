"""The two kinds of link on a session. Pure: no I/O.

On an incoming link the peer sends; on an outgoing link the peer receives.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from shared.amqp import performative_encoder
from shared.amqp.channel import Channel, serial_difference
from shared.amqp.memory_quota import LINK_BYTES
from shared.amqp.performatives import UINT_MAX, Attach, Flow, Outcome, Transfer
from shared.amqp.refusal import Refusal

CREDIT = 1000
MAX_MESSAGE_BYTES = 1024 * 1024


class Delivery(NamedTuple):
    delivery_id: int
    message_format: int
    is_settled: bool
    payload: bytes


class Node(Protocol):
    """The application's end of a link."""

    # Whether a connection with such a link may stay open without sending anything.
    keeps_connection_open: bool

    def close(self) -> None:
        """Release everything that the node holds, because the link has ended."""
        ...


class Sink(Node, Protocol):
    """A node that consumes an incoming link's deliveries."""

    def deliver(self, delivery: Delivery) -> None: ...


class Source(Node, Protocol):
    """A node that feeds an outgoing link."""

    def resume(self) -> None:
        """Send what is available, because credit, window or socket may have room again."""
        ...


class Link:
    """One link of a session; `siblings` are the links of the same session by handle."""

    def __init__(self, channel: Channel, siblings: Mapping[int, "Link"], attach: Attach) -> None:
        self.channel = channel
        self.peer = channel.peer
        self.siblings = siblings
        self.name = attach.name
        self.handle = attach.handle
        self.is_open = True
        self.held_bytes = LINK_BYTES + len(attach.name) + len(attach.target_address)
        self.node: Sink | Source | None = None
        # A peer that sends decides for itself.
        self.settle_mode = performative_encoder.SENDS_MIXED
        # What our ATTACH offers; the node resolver may change it.
        self.max_message_bytes = MAX_MESSAGE_BYTES
        self.offered_capabilities: tuple[str, ...] = ()
        self.echoes_properties = False

    @property
    def keeps_connection_open(self) -> bool:
        return self.is_open and self.node is not None and self.node.keeps_connection_open

    def detach(self, refusal: Refusal | None = None) -> None:
        """End the link.

        The link's handle is free again once the peer has answered with its own DETACH.
        """
        if self.is_open:
            self.channel.send(performative_encoder.detach(self.handle, refusal))
            self.end()

    def end(self) -> None:
        """Mark the link as ended and close its node; further calls do nothing.

        Either side may have ended the link.
        """
        if self.is_open:
            self.is_open = False
            self._drop_deliveries()
            if self.node is not None:
                self.node.close()

    def _drop_deliveries(self) -> None:
        """Release what the link holds for unfinished deliveries; a plain link holds nothing."""


class IncomingLink(Link):
    """A link on which the peer sends; this side grants credit and settles each delivery."""

    node: Sink

    def __init__(self, channel: Channel, siblings: Mapping[int, Link], attach: Attach) -> None:
        super().__init__(channel, siblings, attach)
        self._delivery_count = attach.initial_delivery_count or 0
        self._credit = 0
        self._first: Transfer | None = None
        self._partial = bytearray()
        self._size_bytes = 0

    def grant_credit(self) -> None:
        self._credit = CREDIT
        self.channel.send_flow((self.handle, self._delivery_count, CREDIT))

    def receive(self, transfer: Transfer, payload: bytes) -> None:
        if self._first is None:
            self._first = transfer
        if transfer.aborted:
            self._drop_deliveries()
            return
        self._size_bytes += len(payload)
        if transfer.more:
            self._keep(payload)
            return
        whole = bytes(self._partial + payload) if self._partial else payload
        size_bytes, first = self._size_bytes, self._first
        self._drop_deliveries()
        self._delivery_count = (self._delivery_count + 1) & UINT_MAX
        self._credit -= 1
        is_settled = bool(first.settled or transfer.settled)
        delivery = Delivery(first.delivery_id or 0, first.message_format or 0, is_settled, whole)
        if size_bytes > self.max_message_bytes:
            too_large = self.peer.refusals.message_too_large
            self.settle(delivery, too_large(delivery.delivery_id, size_bytes, self.max_message_bytes))
        else:
            self.node.deliver(delivery)
        if self._credit <= CREDIT // 2 and self.is_open:
            self.grant_credit()

    def _keep(self, payload: bytes) -> None:
        if self._size_bytes > self.max_message_bytes:
            # The message is rejected when it ends; until then its bytes are only counted.
            self._drop_partial()
            return
        self._partial += payload
        self.peer.quota.hold(len(payload))

    def _drop_deliveries(self) -> None:
        self._first = None
        self._size_bytes = 0
        self._drop_partial()

    def _drop_partial(self) -> None:
        self.peer.quota.release(len(self._partial))
        self._partial = bytearray()

    def settle(self, delivery: Delivery, refusal: Refusal | None = None) -> None:
        """Accept the delivery, or reject it if a refusal is given.

        If the sender has already settled the delivery, nothing is sent.
        """
        if not delivery.is_settled:
            self.channel.send(performative_encoder.receiver_disposition(delivery.delivery_id, refusal))


class OutgoingLink(Link):
    """A link on which the peer receives; the peer grants credit for deliveries."""

    node: Source

    def __init__(self, channel: Channel, siblings: Mapping[int, Link], attach: Attach) -> None:
        super().__init__(channel, siblings, attach)
        self.target_address = attach.target_address
        self.credit = 0
        self.is_draining = False
        self.settle_mode = performative_encoder.SENDS_SETTLED
        self._requested_settle_mode = attach.sender_settle_mode
        self._delivery_count = 0
        self._unsettled: dict[int, None] = {}
        self._on_outcome: Callable[[int, Outcome], None] = lambda _delivery_id, _outcome: None

    def send_unsettled(self, on_outcome: Callable[[int, Outcome], None]) -> None:
        """Send deliveries unsettled, unless the peer's ATTACH asks for settled ones.

        Only the node resolver may call this. `on_outcome` is called once for each delivery id. It gets
        RELEASED if the peer settles without an outcome, or if the link ends first; in the latter case the
        link is already closed. The source must bound how many deliveries are unsettled.
        """
        if self._requested_settle_mode != performative_encoder.SENDS_SETTLED:
            is_unsettled = self._requested_settle_mode == performative_encoder.SENDS_UNSETTLED
            self.settle_mode = (
                performative_encoder.SENDS_UNSETTLED if is_unsettled else performative_encoder.SENDS_MIXED
            )
            self._on_outcome = on_outcome

    def apply_flow(self, flow: Flow) -> None:
        granted_until = (flow.delivery_count or 0) + (flow.link_credit or 0)
        self.credit = serial_difference(granted_until, self._delivery_count)
        self.is_draining = bool(flow.drain)
        self.node.resume()
        if flow.echo:
            self.send_flow()

    def count_sent(self, deliveries: int, frames: int) -> None:
        """Count the deliveries and frames that the source has written itself."""
        self.credit -= deliveries
        self._delivery_count = (self._delivery_count + deliveries) & UINT_MAX
        self.channel.count_sent(deliveries, frames)

    def send(self, message: bytes) -> int:
        """Send one message and return its delivery id.

        The caller must check the credit where it applies; answers to requests are sent without credit.
        """
        delivery_id = self.channel.next_delivery_id
        is_settled = self.settle_mode == performative_encoder.SENDS_SETTLED
        frames = list(
            performative_encoder.transfer_frames(
                self.channel.number,
                self.handle,
                delivery_id,
                message,
                self.peer.max_frame_bytes,
                is_settled=is_settled,
            )
        )
        if not is_settled:
            self._unsettled[delivery_id] = None
        self.peer.write(frames)
        self.count_sent(1, len(frames))
        return delivery_id

    def apply_outcome(self, first: int, last: int, outcome: Outcome) -> bool:
        """Report the outcome of the unsettled deliveries from `first` to `last` to the source.

        Return whether there were any such deliveries.
        """
        span = (last - first) & UINT_MAX
        found = [first] if not span else [one for one in self._unsettled if (one - first) & UINT_MAX <= span]
        found = [delivery_id for delivery_id in found if delivery_id in self._unsettled]
        for delivery_id in found:
            del self._unsettled[delivery_id]
        for delivery_id in found:
            self._on_outcome(delivery_id, outcome)
        return bool(found)

    def drain(self) -> None:
        """Use up the credit, because a draining peer has asked for that and there is nothing more to send."""
        self._delivery_count = (self._delivery_count + self.credit) & UINT_MAX
        self.credit = 0
        self.is_draining = False
        self.send_flow()

    def send_flow(self) -> None:
        self.channel.send_flow((self.handle, self._delivery_count, self.credit))

    def _drop_deliveries(self) -> None:
        for delivery_id in list(self._unsettled):
            self.apply_outcome(delivery_id, delivery_id, Outcome.RELEASED)
