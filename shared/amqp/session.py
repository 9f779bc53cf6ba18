"""One AMQP session: its links by handle, and the dispatch of performatives to them. Pure: no I/O."""

import msgspec

from shared.amqp import encoder as amqp
from shared.amqp import performative_encoder, performatives
from shared.amqp.application import NodeResolver
from shared.amqp.channel import INCOMING_WINDOW, Channel
from shared.amqp.link import IncomingLink, Link, OutgoingLink
from shared.amqp.peer import Peer
from shared.amqp.performatives import Attach, Begin, Detach, Disposition, Flow, Outcome, Transfer
from shared.amqp.refusal import HANDLE_IN_USE, Refusal

HANDLE_MAX = 255
_SOURCE_FIELD, _TARGET_FIELD, _PROPERTIES_FIELD = 5, 6, 13


class Session:
    """A session that the peer has begun, with its links."""

    def __init__(self, peer: Peer, channel: int, begin: Begin, open_node: NodeResolver) -> None:
        self._channel = Channel(peer, channel, begin)
        self._quota = peer.quota
        self._open_node = open_node
        self._links: dict[int, Link] = {}
        self._channel.send(performative_encoder.begin(channel, INCOMING_WINDOW, HANDLE_MAX))

    @property
    def links(self) -> list[Link]:
        return list(self._links.values())

    def receive(self, performative: msgspec.Struct, body: bytes, payload_at: int) -> None:
        match performative:
            case Transfer():
                self._channel.count_received()
                link = self._links.get(performative.handle)
                if isinstance(link, IncomingLink) and link.is_open:
                    link.receive(performative, body[payload_at:])
            case Flow():
                self._apply_flow(performative)
            case Disposition():
                self._apply_disposition(performative)
            case Attach():
                self._attach(performative, body)
            case Detach():
                self._detach(performative)
            case _:
                pass

    def _apply_flow(self, flow: Flow) -> None:
        self._channel.apply_flow(flow)
        if flow.handle is not None:
            link = self._links.get(flow.handle)
            if isinstance(link, OutgoingLink) and link.is_open:
                link.apply_flow(flow)
            return
        self.resume()
        if flow.echo:
            self._channel.send_flow()

    def resume(self) -> None:
        """Let every source send, because window or socket has room again."""
        for link in self.links:
            if isinstance(link, OutgoingLink) and link.is_open:
                link.node.resume()

    def _apply_disposition(self, disposition: Disposition) -> None:
        """Apply a receiver's disposition to the deliveries that this side has sent.

        A sender's disposition is ignored, because this side has already settled what it receives.
        """
        outcome = disposition.outcome
        if not disposition.is_receiver or (outcome is None and not disposition.settled):
            return
        outcome = outcome or Outcome.RELEASED
        first, last = disposition.first, disposition.first if disposition.last is None else disposition.last
        is_known = False
        for link in self.links:
            if isinstance(link, OutgoingLink) and link.is_open:
                is_known |= link.apply_outcome(first, last, outcome)
        if is_known and not disposition.settled:
            # A receiver in the mode "second" settles after us.
            self._channel.send(performative_encoder.sender_disposition(first, last, outcome))

    def _attach(self, attach: Attach, body: bytes) -> None:
        if attach.handle in self._links or attach.handle > HANDLE_MAX:
            raise Refusal(HANDLE_IN_USE, f"The handle {attach.handle} is in use or above the maximum.")
        kind = OutgoingLink if attach.is_receiver else IncomingLink
        link: Link = kind(self._channel, self._links, attach)
        self._quota.hold(link.held_bytes)
        self._links[attach.handle] = link
        try:
            link.node = self._open_node(link, attach)
        except Refusal as refusal:
            self._send_attach(link, amqp.NULL, amqp.NULL, amqp.NULL)
            link.detach(refusal)
            return
        raw = performatives.raw_fields(body)
        self._send_attach(
            link,
            _field(raw, _SOURCE_FIELD, performative_encoder.empty_source()),
            _field(raw, _TARGET_FIELD, performative_encoder.empty_target()),
            _field(raw, _PROPERTIES_FIELD, amqp.NULL) if link.echoes_properties else amqp.NULL,
        )
        if isinstance(link, IncomingLink):
            link.grant_credit()

    def _send_attach(self, link: Link, source: bytes, target: bytes, properties: bytes) -> None:
        self._channel.send(
            performative_encoder.attach(
                link.name,
                link.handle,
                is_receiver=isinstance(link, IncomingLink),
                sender_settle_mode=link.settle_mode,
                source=source,
                target=target,
                max_message_size=link.max_message_bytes,
                offered_capabilities=() if source == amqp.NULL else link.offered_capabilities,
                properties=properties,
            )
        )

    def _detach(self, detach: Detach) -> None:
        link = self._links.pop(detach.handle, None)
        if link is None:
            return
        self._quota.release(link.held_bytes)
        if link.is_open:
            self._channel.send(performative_encoder.detach(detach.handle))
            link.end()

    def end(self) -> None:
        """End every link, because the peer has ended the session or is gone."""
        for link in self.links:
            link.end()
            self._quota.release(link.held_bytes)
        self._links.clear()


def _field(raw: list[bytes], field: int, default: bytes) -> bytes:
    """Return an encoded field, or `default` if the field is null or missing."""
    return raw[field] if len(raw) > field and raw[field] != amqp.NULL else default
