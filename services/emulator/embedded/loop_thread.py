"""An event loop in a separate thread, to which other threads submit work."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

import uvloop

S = TypeVar("S")
T = TypeVar("T")


class LoopThread(Generic[S]):
    """A thread with its own event loop, in which `served()` is open between `start` and `stop`.

    The thread that uses it may run another loop, or none.
    """

    def __init__(self, name: str, served: Callable[[], AbstractAsyncContextManager[S]]) -> None:
        self._served = served
        self._started: Future[S] = Future()
        self._ended: Future[None] = Future()
        # A daemon, so that a test that does not stop it cannot keep the process alive.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event

    def start(self) -> S:
        """Start the thread and return the object that `served()` yields.

        Raises the error if opening it fails.
        """
        self._thread.start()
        return self._started.result()

    def stop(self) -> None:
        """Stop the thread and wait until everything is closed. Raises the error if closing fails."""
        if not self._ended.done():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._ended.result()

    def call(self, work: Callable[[], T]) -> T:
        """Call a function on the loop and return its result. The function must not block."""

        async def piece() -> T:
            return work()

        return self.run(piece)

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine on the loop and return its result. Raises RuntimeError if the loop does not run."""
        if not self._started.done() or self._ended.done():
            raise RuntimeError("the emulator does not run: use it within its `with` block")
        return asyncio.run_coroutine_threadsafe(work(), self._loop).result()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as exc:  # noqa: BLE001 - the thread's edge: the caller gets it
            if self._started.done():
                self._ended.set_exception(exc)
            else:
                self._ended.set_result(None)
                self._started.set_exception(exc)
        else:
            self._ended.set_result(None)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with self._served() as served:
            self._started.set_result(served)
            await self._stop.wait()
