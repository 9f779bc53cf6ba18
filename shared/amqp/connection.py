"""One client's connection: headers, SASL, then frames to its sessions; a few buffers of memory at most."""

import asyncio
import socket
from typing import TYPE_CHECKING, cast

import msgspec

from services.emulator.event_hubs import handshake, refusals
from services.emulator.event_hubs.authorizations import Authorizations
from services.emulator.event_hubs.refusals import Refusal
from services.emulator.event_hubs.sas import Grant, TokenRefused
from shared.amqp import performative_encoder, performatives
from shared.amqp.decoder import DecodeError
from shared.amqp.frames import (
    AMQP_FRAME,
    EMPTY_FRAME,
    MIN_MAX_FRAME_BYTES,
    SASL_FRAME,
    Frame,
    FrameReader,
    FramingError,
    ProtocolHeader,
)
from shared.amqp.heartbeat import Heartbeat
from shared.amqp.memory_quota import SESSION_BYTES, MemoryQuota
from shared.amqp.peer import Outbox
from shared.amqp.performatives import Begin, Close, End, Open, SaslInit
from shared.amqp.session import Session

if TYPE_CHECKING:
    from services.emulator.event_hubs.namespace import Namespace

from shared.service.log_events import EventLog

log = EventLog(__name__)

CONTAINER_ID = "fleetprice-event-hubs"
MAX_FRAME_BYTES = 1024 * 1024
# Until it has proved who it is a client has nothing large to say.
STRANGERS_FRAME_BYTES = 64 * 1024
CHANNEL_MAX = 4999
IDLE_TIMEOUT_MS = 240_000
HANDSHAKE_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 5.0
WRITE_BUFFER_BYTES = 1024 * 1024


class Connection(asyncio.Protocol):
    transport: asyncio.Transport
    outbox: Outbox

    def __init__(
        self,
        namespace: "Namespace",
        connections: "set[Connection]",
        *,
        patience_s: float = HANDSHAKE_TIMEOUT_S,
    ) -> None:
        self.namespace = namespace
        self.loop = asyncio.get_running_loop()
        self.grants = Authorizations(namespace.keys, self.loop, namespace.now_s, self._lapsed)
        self.is_writable = True
        self.max_frame_bytes = MIN_MAX_FRAME_BYTES
        self._connections = connections
        self._patience_s = patience_s
        self.allowance = MemoryQuota(lambda: bool(self.grants))
        self._liveness = Heartbeat(self.loop, namespace.idle_s, self._is_in_use, self._close_as_idle)
        self._reader = FrameReader(STRANGERS_FRAME_BYTES)
        self._sessions: dict[int, Session] = {}
        self._is_open = False
        self._timer: asyncio.TimerHandle | None = None

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not say so, but are that.
        self.transport = cast("asyncio.Transport", transport)
        self.outbox = Outbox(self.loop, self.transport)
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        # A peer that vanished without a word is noticed by the kernel, not by its silence: the SDK sends no
        # heartbeats while nobody calls it.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._connections.add(self)
        self._timer = self.loop.call_later(self._patience_s, self.abort)

    def data_received(self, data: bytes) -> None:
        self._liveness.heard()
        try:
            for received in self._reader.feed(data):
                if self.transport.is_closing():
                    return
                if isinstance(received, ProtocolHeader):
                    self._header(received.raw)
                else:
                    self._frame(received)
        except FramingError as exc:
            self.close(Refusal(refusals.FRAMING_ERROR, str(exc)))
        except DecodeError as exc:
            self.close(Refusal(refusals.DECODE_ERROR, str(exc)))
        except Refusal as refusal:
            self.close(refusal)

    def pause_writing(self) -> None:
        # Whoever does not read is not heard either: its answers would pile up here.
        self.is_writable = False
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.is_writable = True
        if not self.transport.is_closing():
            self.transport.resume_reading()
        for session in self._sessions.values():
            session.resume()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # a lost peer is nobody's error
        if self._timer is not None:
            self._timer.cancel()
        self._connections.discard(self)
        self.grants.stop()
        self._liveness.stop()
        for session in self._sessions.values():
            session.end()
        self._sessions.clear()

    # What sessions and nodes call.

    def admit(self, grant: Grant) -> None:
        """The client has proved that it may do this. Raises Refusal for too many proofs."""
        self.grants.put(grant)
        self._reader.max_frame_bytes = MAX_FRAME_BYTES

    def _lapsed(self, reason: str) -> None:
        for session in list(self._sessions.values()):
            for link in session.links:
                link.lapse(reason)

    def close(self, refusal: Refusal | None = None) -> None:
        """Say why, then hang up without waiting: the SDK does not wait either."""
        if not self.transport.is_closing():
            if refusal is not None:
                log.info("connection_refused", condition=refusal.condition, reason=refusal.description)
            self.outbox.send(0, performative_encoder.close(refusal))
            self.outbox.flush()
            self._hang_up()

    def _hang_up(self) -> None:
        """Close once all that was written has left, or soon: who does not read holds nothing open."""
        self.transport.close()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)

    def abort(self) -> None:
        """Hang up at once; what was queued is lost."""
        self.outbox.clear()
        self.transport.abort()

    # The handshake, and what concerns the whole connection.

    def _header(self, raw: bytes) -> None:
        self.outbox.write(handshake.answer_to(raw))
        if raw not in handshake.SPOKEN:
            self._hang_up()

    def _frame(self, received: Frame) -> None:
        if not received.body:
            return
        performative, payload_at = performatives.decode_performative(received.body)
        if received.kind == SASL_FRAME:
            if isinstance(performative, SaslInit):
                self._sasl(performative)
            return
        if received.kind != AMQP_FRAME:
            raise FramingError(f"no frame has the type {received.kind}")
        match performative:
            case Open():
                self._open(performative)
            case Close():
                self.close()
            case _ if not self._is_open:
                raise Refusal(refusals.NOT_ALLOWED, "The connection is not open.")
            case Begin():
                self._begin(received.channel, performative)
            case End():
                self._end(received.channel)
            case _:
                self._deliver(received, performative, payload_at)

    def _deliver(self, received: Frame, performative: msgspec.Struct, payload_at: int) -> None:
        # pyamqp detaches links of sessions that have ended: what is addressed to nobody is dropped.
        if session := self._sessions.get(received.channel):
            session.receive(performative, received.body, payload_at)

    def _sasl(self, init: SaslInit) -> None:
        try:
            if grant := handshake.proved(init, self.namespace.keys):
                self.admit(grant)
        except TokenRefused:
            self.outbox.write([handshake.NOT_ADMITTED])
            self._hang_up()
        else:
            self.outbox.write([handshake.ADMITTED])

    def _open(self, opened: Open) -> None:
        if self._is_open:
            raise Refusal(refusals.NOT_ALLOWED, "The connection is open already.")
        asked = MAX_FRAME_BYTES if opened.max_frame_size is None else opened.max_frame_size
        if asked < MIN_MAX_FRAME_BYTES:
            raise Refusal(refusals.INVALID_FIELD, f"Frames of {MIN_MAX_FRAME_BYTES} bytes must be accepted.")
        self._is_open = True
        self.max_frame_bytes = min(asked, MAX_FRAME_BYTES)
        self.outbox.send(
            0, performative_encoder.open_(CONTAINER_ID, MAX_FRAME_BYTES, CHANNEL_MAX, IDLE_TIMEOUT_MS)
        )
        if self._timer is not None:
            self._timer.cancel()
        self._liveness.watch()
        if opened.idle_timeout_ms:
            self._liveness.beat(opened.idle_timeout_ms / 2000, self._send_heartbeat)

    def _send_heartbeat(self) -> None:
        if self.is_writable:
            self.outbox.write([EMPTY_FRAME])

    def _is_in_use(self) -> bool:
        return any(link.carries_events for session in self._sessions.values() for link in session.links)

    def _close_as_idle(self) -> None:
        self.close(refusals.idle(self.namespace.idle_s, CONTAINER_ID))

    def _begin(self, channel: int, begin: Begin) -> None:
        if channel > CHANNEL_MAX or channel in self._sessions:
            raise Refusal(refusals.NOT_ALLOWED, f"The channel {channel} is in use or above the maximum.")
        self.allowance.hold(SESSION_BYTES)
        self._sessions[channel] = Session(self, channel, begin)

    def _end(self, channel: int) -> None:
        if session := self._sessions.pop(channel, None):
            session.end()
            self.allowance.let_go(SESSION_BYTES)
            self.outbox.send(channel, performative_encoder.end())
