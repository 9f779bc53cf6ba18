"""AMQP over websockets: a websocket towards the client, an ordinary transport towards the AMQP connection.

Nothing is queued between the two, so back-pressure is that of the socket's own transport.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from services.emulator.listener import PATIENCE_S
from services.emulator.websocket.frames import (
    CloseCode,
    Control,
    FrameCutter,
    Opcode,
    WebSocketRefused,
    close_frame,
    encode_close_answer,
    frame,
)
from services.emulator.websocket.handshake import MAX_HEAD_BYTES, UpgradeRefused, answer_upgrade
from shared.service.log_events import EventLog

log = EventLog(__name__)

CLOSE_TIMEOUT_S = 5.0
# Clients limit the size of a message, aiohttp to 4 MiB.
MAX_MESSAGE_BYTES = 1024 * 1024
_END_OF_HEAD = b"\r\n\r\n"


class WebSocket(asyncio.Protocol):
    """The server's end of one websocket; `accept` makes the protocol that the websocket carries."""

    _transport: asyncio.Transport

    def __init__(
        self,
        accept: Callable[[], asyncio.Protocol],
        *,
        loopback_origins_only: bool,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._accept = accept
        self._loopback_origins_only = loopback_origins_only
        self._patience_s = patience_s
        self._head = bytearray()
        self._cutter = FrameCutter()
        self._inner: asyncio.Protocol | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.is_closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are transports without being declared as such.
        self._transport = cast("asyncio.Transport", transport)
        self._abort_after(self._patience_s)

    def data_received(self, data: bytes) -> None:
        if self._inner is None:
            data = self._shake_hands(data)
        if data and self._inner is not None:
            self._receive_frames(data, self._inner)

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closing = True
        if self._timer is not None:
            self._timer.cancel()
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def close(self) -> None:
        """Send a close frame; hang up once the client has answered it or CLOSE_TIMEOUT_S has passed."""
        if not self.is_closing:
            self.is_closing = True
            self._transport.write(close_frame(CloseCode.NORMAL))
            self._transport.resume_reading()
            self._abort_after(CLOSE_TIMEOUT_S)

    def _shake_hands(self, data: bytes) -> bytes:
        """Collect and answer the upgrade request.

        Return the bytes that follow the request once it is complete and accepted, otherwise nothing.
        """
        self._head += data
        end = self._head.find(_END_OF_HEAD)
        if self.is_closing or (end < 0 and len(self._head) <= MAX_HEAD_BYTES):
            return b""
        try:
            asked = bytes(self._head[:end] if end >= 0 else self._head)
            answer = answer_upgrade(asked, loopback_origins_only=self._loopback_origins_only)
        except UpgradeRefused as refused:
            log.info("websocket_refused", reason=str(refused))
            self._hang_up(refused.answer)
            return b""
        rest = bytes(self._head[end + len(_END_OF_HEAD) :])
        self._head.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._transport.write(answer)
        self._inner = self._accept()
        self._inner.connection_made(WebSocketTransport(self, self._transport))
        return rest

    def _receive_frames(self, data: bytes, inner: asyncio.Protocol) -> None:
        try:
            for received in self._cutter.feed(data):
                if isinstance(received, Control):
                    self._answer_control(received)
                elif not self.is_closing:
                    inner.data_received(received)
                if self._transport.is_closing():
                    return
        except WebSocketRefused as refused:
            log.info("websocket_refused", reason=str(refused))
            self._hang_up(close_frame(refused.code, str(refused)))

    def _answer_control(self, received: Control) -> None:
        if received.opcode is Opcode.CLOSE:
            self._hang_up(b"" if self.is_closing else encode_close_answer(received.payload))
        elif received.opcode is Opcode.PING and not self.is_closing:
            self._transport.write(frame(Opcode.PONG, received.payload))

    def _hang_up(self, final_bytes: bytes) -> None:
        self.is_closing = True
        self._transport.write(final_bytes)
        self._transport.close()
        self._abort_after(CLOSE_TIMEOUT_S)

    def _abort_after(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._transport.abort)


class WebSocketTransport(asyncio.Transport):
    """The transport of the carried protocol; everything written to it leaves as binary messages."""

    def __init__(self, websocket: WebSocket, transport: asyncio.Transport) -> None:
        super().__init__()
        self._websocket = websocket
        self._transport = transport

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        for start in range(0, len(data), MAX_MESSAGE_BYTES):
            self._transport.write(frame(Opcode.BINARY, bytes(data[start : start + MAX_MESSAGE_BYTES])))

    def close(self) -> None:
        self._websocket.close()

    def abort(self) -> None:
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._websocket.is_closing or self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._transport.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)
