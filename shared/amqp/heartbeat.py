"""Silence on a connection: empty frames for a client that minds it, and the end of one that is of no use."""

import asyncio
from collections.abc import Callable

_SHORTEST_INTERVAL_S = 0.1


class Heartbeat:
    """`give_up` is called after `idle_s` without a word from a client whose connection is not in use.

    A reader or sender with a link may be silent for as long as it likes: the Python SDK sends heartbeats only
    while somebody calls it.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        idle_s: float,
        is_in_use: Callable[[], bool],
        give_up: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._idle_s = idle_s
        self._is_in_use = is_in_use
        self._give_up = give_up
        self._was_heard = True
        self._idle: asyncio.TimerHandle | None = None
        self._beat: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        self._idle = self._loop.call_later(self._idle_s, self._look)

    def heard(self) -> None:
        self._was_heard = True

    def beat(self, interval_s: float, send: Callable[[], None]) -> None:
        """Call `send` at once and at every interval."""
        send()
        self._beat = self._loop.call_later(max(interval_s, _SHORTEST_INTERVAL_S), self.beat, interval_s, send)

    def stop(self) -> None:
        for timer in (self._idle, self._beat):
            if timer is not None:
                timer.cancel()

    def _look(self) -> None:
        if not self._was_heard and not self._is_in_use():
            self._give_up()
            return
        self._was_heard = False
        self.watch()
