"""Timers for idle connections.

They send empty frames to a peer that requires them, and end a connection that is not used.
"""

import asyncio
from collections.abc import Callable

_MIN_INTERVAL_S = 0.1


class Heartbeat:
    """The timers of one connection.

    `on_idle` is called if nothing is received for `idle_s` while the connection is not in use. A peer with a
    link that keeps the connection open may be silent for as long as it likes, because the Python SDK (5.15.1)
    sends heartbeats only inside calls.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        idle_s: float,
        is_in_use: Callable[[], bool],
        on_idle: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._idle_s = idle_s
        self._is_in_use = is_in_use
        self._on_idle = on_idle
        self._has_received = True
        self._idle_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Start watching for idleness."""
        self._idle_timer = self._loop.call_later(self._idle_s, self._check_idle)

    def note_received(self) -> None:
        self._has_received = True

    def send_every(self, interval_s: float, send: Callable[[], None]) -> None:
        """Call `send` now and then every `interval_s` seconds, but at most every 0.1 seconds."""
        send()
        self._send_timer = self._loop.call_later(
            max(interval_s, _MIN_INTERVAL_S), self.send_every, interval_s, send
        )

    def stop(self) -> None:
        for timer in (self._idle_timer, self._send_timer):
            if timer is not None:
                timer.cancel()

    def _check_idle(self) -> None:
        if not self._has_received and not self._is_in_use():
            self._on_idle()
            return
        self._has_received = False
        self.watch()
