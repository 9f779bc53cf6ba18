"""One AMQP session: its links by handle, its windows, and which performative goes where."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from services.emulator.event_hubs import nodes
from services.emulator.event_hubs.refusals import Refusal
from shared.amqp import encoder as amqp
from shared.amqp import performative_encoder, performatives
from shared.amqp.link import IncomingLink, Link, OutgoingLink, serial_difference
from shared.amqp.performatives import Attach, Begin, Detach, Flow, Transfer

if TYPE_CHECKING:
    from shared.amqp.connection import Connection

INCOMING_WINDOW = 0x7FFFFFFF
HANDLE_MAX = 255
_UINT_MASK = 0xFFFFFFFF
_CAPABILITIES = ("com.microsoft:georeplication", "com.microsoft:enable-receiver-runtime-metric")


class Session:
    def __init__(self, connection: "Connection", channel: int, begin: Begin) -> None:
        self.connection = connection
        self.channel = channel
        self.next_delivery_id = 1
        self.window = begin.incoming_window
        self._links: dict[int, Link] = {}
        self._next_incoming_id = begin.next_outgoing_id
        self._next_outgoing_id = 1
        self.send(performative_encoder.begin(channel, INCOMING_WINDOW, HANDLE_MAX))

    @property
    def links(self) -> list[Link]:
        return list(self._links.values())

    def send(self, body: bytes) -> None:
        self.connection.outbox.send(self.channel, body)

    def send_flow(self, link: Sequence[int] | None = None) -> None:
        self.send(
            performative_encoder.flow(
                next_incoming_id=self._next_incoming_id,
                incoming_window=INCOMING_WINDOW,
                next_outgoing_id=self._next_outgoing_id,
                link=link,
            )
        )

    def count_sent(self, events: int, frames: int) -> None:
        self.next_delivery_id = (self.next_delivery_id + events) & _UINT_MASK
        self._next_outgoing_id = (self._next_outgoing_id + frames) & _UINT_MASK
        self.window -= frames

    def receive(self, performative: msgspec.Struct, body: bytes, payload_at: int) -> None:
        match performative:
            case Transfer():
                # pyamqp counts deliveries here, not frames; nobody is held to a window of this size anyway.
                self._next_incoming_id = (self._next_incoming_id + 1) & _UINT_MASK
                link = self._links.get(performative.handle)
                if isinstance(link, IncomingLink) and link.is_open:
                    link.transfer(performative, body[payload_at:])
            case Flow():
                self._flow(performative)
            case Attach():
                self._attach(performative, body)
            case Detach():
                self._detach(performative)
            case _:
                # A client's disposition: everything was sent settled, so it says nothing new.
                pass

    def _flow(self, flow: Flow) -> None:
        reached = 1 if flow.next_incoming_id is None else flow.next_incoming_id
        self.window = serial_difference(reached + flow.incoming_window, self._next_outgoing_id)
        if flow.handle is not None:
            link = self._links.get(flow.handle)
            if isinstance(link, OutgoingLink) and link.is_open:
                link.flow(flow)
            return
        self.resume()
        if flow.echo:
            self.send_flow()

    def resume(self) -> None:
        """Window or socket have room again."""
        for link in self.links:
            if isinstance(link, OutgoingLink) and link.is_open:
                link.node.credit_changed()

    def _attach(self, attach: Attach, body: bytes) -> None:
        if attach.handle in self._links or attach.handle > HANDLE_MAX:
            raise Refusal(
                "amqp:session:handle-in-use", f"The handle {attach.handle} is in use or above the maximum."
            )
        link: Link = OutgoingLink(self, attach) if attach.is_receiver else IncomingLink(self, attach)
        self.connection.allowance.hold(link.held_bytes)
        self._links[attach.handle] = link
        try:
            link.node = nodes.opened(link, attach)
        except Refusal as refusal:
            self.send(performative_encoder.attach(attach, amqp.NULL, amqp.NULL, link.max_message_bytes))
            link.detach(refusal)
            return
        raw = performatives.raw_fields(body)
        source = _or_empty(raw, 5, performative_encoder.empty_source())
        target = _or_empty(raw, 6, performative_encoder.empty_target())
        wanted = attach.desired_capabilities
        wanted = wanted if isinstance(wanted, list) else [wanted]
        offered = [name for name in _CAPABILITIES if name in wanted]
        self.send(performative_encoder.attach(attach, source, target, link.max_message_bytes, offered))
        if isinstance(link, IncomingLink):
            link.grant_credit()

    def _detach(self, detach: Detach) -> None:
        link = self._links.pop(detach.handle, None)
        if link is None:
            return
        self.connection.allowance.let_go(link.held_bytes)
        if link.is_open:
            self.send(performative_encoder.detach(detach.handle))
            link.end()

    def end(self) -> None:
        for link in self.links:
            link.end()
            self.connection.allowance.let_go(link.held_bytes)
        self._links.clear()


def _or_empty(raw: list[bytes], field: int, empty: bytes) -> bytes:
    return raw[field] if len(raw) > field and raw[field] != amqp.NULL else empty
