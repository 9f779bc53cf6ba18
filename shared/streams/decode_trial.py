"""A trial of events in a child process, after the former owner of their partition ended abnormally.

A fault in native code ends the whole process, and it would end every process that reads the partition next.
So the first events after such an end are decoded by a forked child before they are decoded here. An event
that ends two children by itself is poison. Nothing else counts against an event: not the end of this process,
and not a child that a person, the kernel for another's memory, or the time limit ended.
"""

import asyncio
import ctypes
import faulthandler
import gc
import os
import resource
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from shared.codec.batch_decoder import BatchDecoder
from shared.codec.content_encoding import is_gzip
from shared.streams.event import Event, decode_body
from shared.streams.poison import GuardedDecoder

log = structlog.get_logger()

_MAX_CHILD_S = 30.0
_FAULTS = frozenset((signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE))
# A child that the kernel killed had asked for at least this much memory itself if decoding was the cause.
_LARGE_BYTES = 256 * 2**20
_PR_SET_PDEATHSIG = 1
_MAX_ROWS = 2**31


@dataclass(slots=True)
class DecodeTrial:
    """A trial of one partition's events. Nothing is tried unless `is_needed`."""

    decoder: GuardedDecoder
    make_runs: Callable[[], BatchDecoder]
    is_needed: bool
    on_end: Callable[[], None] = lambda: None

    async def try_out(self, events: Sequence[Event]) -> None:
        """Decode the events in a child, and poison each that ends a child twice by itself."""
        if self.is_needed and await self._ends_child(events):
            await self._search(events)

    def end(self) -> None:
        """End the trial: what the former owner may have decoded is in the sink."""
        if self.is_needed:
            self.is_needed = False
            self.on_end()

    async def _search(self, events: Sequence[Event]) -> None:
        """Find the events that end a child, by halving."""
        if len(events) == 1:
            if cause := await self._ends_child(events):
                self.decoder.poison(events[0].sequence_number, f"its decoding ended the process by {cause}")
            return
        middle = len(events) // 2
        for half in (events[:middle], events[middle:]):
            if await self._ends_child(half):
                await self._search(half)

    async def _ends_child(self, events: Sequence[Event]) -> str:
        """Decode the events in a child. Return the signal by which they ended it, or an empty text."""
        held_bytes = _resident_bytes()
        try:
            with warnings.catch_warnings():
                # From Python 3.12 on it warns of locks that other threads hold: the time limit is for those.
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
        except OSError as error:
            log.warning(
                "decoding_not_tried",
                hub=self.decoder.hub,
                partition=self.decoder.partition,
                reason=str(error),
            )
            return ""
        if not pid:
            _run_child(lambda: self._decode_all(events))
        waiting = asyncio.create_task(asyncio.to_thread(os.wait4, pid, 0))
        try:
            ended, _ = await asyncio.wait([waiting], timeout=_MAX_CHILD_S)
        except asyncio.CancelledError:
            os.kill(pid, signal.SIGKILL)
            raise
        if not ended:
            os.kill(pid, signal.SIGKILL)
            await waiting
            return ""
        _, status, usage = waiting.result()
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        has_grown = usage.ru_maxrss * 1024 >= held_bytes + _LARGE_BYTES
        is_out_of_memory = number == signal.SIGKILL and has_grown
        return signal.Signals(number).name if number in _FAULTS or is_out_of_memory else ""

    def _decode_all(self, events: Sequence[Event]) -> None:
        """Decode each event on both ways, ignoring errors: only what ends the process is looked for."""
        decoder, runs = self.decoder.make_decoder(), self.make_runs()
        for event in events:
            if event.sequence_number in self.decoder.alone or event.fault is not None:
                continue
            with suppress(Exception):
                decode_body(decoder, event)
            if not is_gzip(event.content_encoding):
                with suppress(Exception):
                    runs.decode([event.body], event.content_type, _MAX_ROWS)


def _run_child(decode: Callable[[], None]) -> None:
    """Decode in a forked child, apart from the parent's signals and loop, and end it."""
    try:
        signal.set_wakeup_fd(-1)  # a signal of the child must not wake the parent's loop
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            with suppress(OSError):  # the kernel is to kill this child, no other, but /proc may be read-only
                Path("/proc/self/oom_score_adj").write_text("1000")
        faulthandler.disable()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # its end is expected: no dump of all memory
        gc.disable()
        decode()
    finally:
        os._exit(0)


def _resident_bytes() -> int:
    if sys.platform != "linux":
        return 2**62  # elsewhere no kernel kills a process for its memory
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
