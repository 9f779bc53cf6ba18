"""One AMQP connection as a state machine: bytes go in, frames go out to the peer. Pure: no I/O.

Bytes are written only through the transport that is passed in.
"""

import contextlib
from collections.abc import Callable

import msgspec

from shared.amqp import performative_encoder, performatives
from shared.amqp.application import Application, AuthenticationFailed
from shared.amqp.decoder import DecodeError
from shared.amqp.frames import (
    AMQP_FRAME,
    AMQP_HEADER,
    MIN_MAX_FRAME_BYTES,
    SASL_FRAME,
    SASL_HEADER,
    Frame,
    FrameReader,
    FramingError,
    ProtocolHeader,
    frame,
)
from shared.amqp.link import Link
from shared.amqp.memory_quota import SESSION_BYTES, MemoryQuota
from shared.amqp.peer import Peer, Transport
from shared.amqp.performatives import Begin, Close, End, Open, SaslInit
from shared.amqp.refusal import DECODE_ERROR, FRAMING_ERROR, INVALID_FIELD, NOT_ALLOWED, Refusal
from shared.amqp.session import Session

MAX_FRAME_BYTES = 1024 * 1024
# A peer that is not authenticated has nothing large to send.
UNAUTHENTICATED_FRAME_BYTES = 64 * 1024
CHANNEL_MAX = 4999
IDLE_TIMEOUT_MS = 240_000

_SASL_OK, _SASL_AUTH = 0, 1


class Connection:
    """The accepting side of a connection.

    `transport`, `call_soon` and `hang_up` are passed on to `Peer` and described there.
    """

    def __init__(
        self,
        application: Application,
        transport: Transport,
        call_soon: Callable[[Callable[[], None]], object],
        hang_up: Callable[[], None],
    ) -> None:
        self._application = application
        self._authenticator = application.authenticator
        quota = MemoryQuota(lambda: self._authenticator.is_authenticated)
        self.peer = Peer(transport, call_soon, hang_up, quota, application.refusals)
        self.is_open = False
        # How often the peer wants to receive something, in seconds; 0 if it does not mind.
        self.peer_idle_timeout_s = 0.0
        self._reader = FrameReader(UNAUTHENTICATED_FRAME_BYTES)
        self._sessions: dict[int, Session] = {}

    @property
    def links(self) -> list[Link]:
        return [link for session in self._sessions.values() for link in session.links]

    @property
    def is_in_use(self) -> bool:
        """Whether any link allows the peer to stay silent without being dropped as idle."""
        return any(link.keeps_connection_open for link in self.links)

    def receive(self, data: bytes) -> None:
        """Process received bytes; a protocol error or a refusal closes the connection."""
        try:
            for received in self._reader.feed(data):
                if self.peer.is_closing():
                    return
                if isinstance(received, ProtocolHeader):
                    self._receive_header(received.raw)
                else:
                    self._receive_frame(received)
        except FramingError as exc:
            self.close(Refusal(FRAMING_ERROR, str(exc)))
        except DecodeError as exc:
            self.close(Refusal(DECODE_ERROR, str(exc)))
        except Refusal as refusal:
            self.close(refusal)

    def allow_large_frames(self) -> None:
        """Accept frames of the full size from now on, because the peer is authenticated."""
        self._reader.max_frame_bytes = MAX_FRAME_BYTES

    def resume(self) -> None:
        """Let every source send, because the transport has room again."""
        for session in self._sessions.values():
            session.resume()

    def close_idle(self, idle_s: float) -> None:
        """Close the connection because nothing was received for `idle_s` seconds."""
        self.close(self._application.refusals.idle(idle_s, self._application.container_id))

    def close(self, refusal: Refusal | None = None) -> None:
        """Send CLOSE, with the refusal if there is one, and hang up."""
        self.peer.close(refusal)

    def end(self) -> None:
        """End every session, because the transport is gone."""
        for session in self._sessions.values():
            session.end()
        self._sessions.clear()

    def _receive_header(self, raw: bytes) -> None:
        if raw == SASL_HEADER:
            offered = performative_encoder.sasl_mechanisms(self._authenticator.sasl_mechanisms)
            self.peer.write([SASL_HEADER, frame(0, offered, SASL_FRAME)])
            return
        # The answer to another protocol is the one that we speak (AMQP 1.0, 2.2).
        self.peer.write([AMQP_HEADER])
        if raw != AMQP_HEADER:
            self.peer.hang_up()

    def _receive_frame(self, received: Frame) -> None:
        if not received.body:
            return
        performative, payload_at = performatives.decode_performative(received.body)
        if received.kind == SASL_FRAME:
            if isinstance(performative, SaslInit):
                self._authenticate(performative)
            return
        if received.kind != AMQP_FRAME:
            raise FramingError(f"no frame has the type {received.kind}")
        match performative:
            case Open():
                self._open(performative)
            case Close():
                self.close()
            case _ if not self.is_open:
                raise Refusal(NOT_ALLOWED, "The connection is not open.")
            case Begin():
                self._begin(received.channel, performative)
            case End():
                self._end(received.channel)
            case _:
                self._dispatch(received, performative, payload_at)

    def _dispatch(self, received: Frame, performative: msgspec.Struct, payload_at: int) -> None:
        # pyamqp (5.15.1) detaches links of sessions that have ended: frames for unknown channels are dropped.
        if session := self._sessions.get(received.channel):
            session.receive(performative, received.body, payload_at)

    def _authenticate(self, init: SaslInit) -> None:
        outcome = _SASL_AUTH
        if init.mechanism in self._authenticator.sasl_mechanisms:
            with contextlib.suppress(AuthenticationFailed):
                self._authenticator.authenticate(init.mechanism, init.initial_response or b"")
                outcome = _SASL_OK
        self.peer.write([frame(0, performative_encoder.sasl_outcome(outcome), SASL_FRAME)])
        if outcome != _SASL_OK:
            self.peer.hang_up()

    def _open(self, opened: Open) -> None:
        if self.is_open:
            raise Refusal(NOT_ALLOWED, "The connection is open already.")
        accepted = MAX_FRAME_BYTES if opened.max_frame_size is None else opened.max_frame_size
        if accepted < MIN_MAX_FRAME_BYTES:
            raise Refusal(INVALID_FIELD, f"Frames of {MIN_MAX_FRAME_BYTES} bytes must be accepted.")
        self.is_open = True
        self.peer.max_frame_bytes = min(accepted, MAX_FRAME_BYTES)
        self.peer_idle_timeout_s = (opened.idle_timeout_ms or 0) / 1000
        container_id = self._application.container_id
        self.peer.send(
            0, performative_encoder.open_(container_id, MAX_FRAME_BYTES, CHANNEL_MAX, IDLE_TIMEOUT_MS)
        )

    def _begin(self, channel: int, begin: Begin) -> None:
        if channel > CHANNEL_MAX or channel in self._sessions:
            raise Refusal(NOT_ALLOWED, f"The channel {channel} is in use or above the maximum.")
        self.peer.quota.hold(SESSION_BYTES)
        self._sessions[channel] = Session(self.peer, channel, begin, self._application.open_node)

    def _end(self, channel: int) -> None:
        if session := self._sessions.pop(channel, None):
            session.end()
            self.peer.quota.release(SESSION_BYTES)
            self.peer.send(channel, performative_encoder.end())
