"""How long the hubs were served, by which retention counts the age of events.

The machine's clock says nothing of this: it runs on while the emulator is stopped or the laptop sleeps, and a
person or a time server may set it. An event that nobody could read meanwhile must not expire.
"""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from shared.service.atomic_file import replace_file
from shared.service.log_events import EventLog

log = EventLog(__name__)

# A clock that differs by less from the time served is merely adjusted, not set.
_TOLERANCE_MS = 60_000
_SAVED_EVERY_MS = 10_000
_MAX_PERIODS = 2_000


class _Period(msgspec.Struct, frozen=True):
    """A time during which the clock was not set. At `clock_ms` the hubs had been served for `served_ms`."""

    clock_ms: int
    served_ms: int


class _Saved(msgspec.Struct, frozen=True):
    """The content of the file."""

    served_ms: int
    periods: tuple[_Period, ...]


class ServedTime:
    """The time for which the hubs were served, over all starts."""

    def __init__(
        self, path: Path, clock_ms: Callable[[], int], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Continue with the time in the file `path`; without a file nothing was served yet.

        `clock_ms` is the clock that stamps events, milliseconds. `monotonic` counts seconds, and stands still
        while the machine sleeps.
        """
        self._path = path
        self._clock_ms = clock_ms
        self._monotonic = monotonic
        saved = _load(path)
        self._base_ms = self._saved_ms = saved.served_ms
        self._started_s = monotonic()
        self._periods = list(saved.periods)
        self._begin_period(clock_ms(), saved.served_ms)

    def advance(self) -> None:
        """Note whether the clock was set since the last call, and save the time now and then."""
        served_ms, clock_ms = self._served_ms(), self._clock_ms()
        current = self._periods[-1]
        expected_ms = current.clock_ms + served_ms - current.served_ms
        was_set = abs(clock_ms - expected_ms) > _TOLERANCE_MS
        if was_set:
            self._begin_period(clock_ms, served_ms)
            log.info("clock_set", ahead_s=(clock_ms - expected_ms) // 1_000)
        if was_set or served_ms - self._saved_ms >= _SAVED_EVERY_MS:
            self.save()

    def before(self, age_ms: int) -> int | None:
        """Return a time stamp: events with an earlier one have been served for at least `age_ms`.

        Return None if the hubs were not served for that long in all.
        """
        wanted_ms, newest_ms = self._served_ms() - age_ms, 2**63
        for period in reversed(self._periods):
            if period.served_ms <= wanted_ms:
                # Never later than what a clock set back showed since: newer events have such times.
                return min(newest_ms, period.clock_ms + wanted_ms - period.served_ms)
            newest_ms = min(newest_ms, period.clock_ms)
        return None

    def save(self) -> None:
        """Write the file. If the disk does not take it, less time was served at the next start."""
        self._saved_ms = self._served_ms()
        try:
            replace_file(self._path, msgspec.json.encode(_Saved(self._saved_ms, tuple(self._periods))))
        except OSError as error:
            log.warning("served_time_not_saved", file=str(self._path), reason=error.strerror)

    def _begin_period(self, clock_ms: int, served_ms: int) -> None:
        if self._periods and self._periods[-1].served_ms == served_ms:
            self._periods.pop()  # nothing was served in it
        self._periods.append(_Period(clock_ms, served_ms))
        del self._periods[:-_MAX_PERIODS]

    def _served_ms(self) -> int:
        return self._base_ms + int((self._monotonic() - self._started_s) * 1_000)


def _load(path: Path) -> _Saved:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Saved)
    except FileNotFoundError:
        return _Saved(0, ())
    except msgspec.MsgspecError as error:
        log.warning("served_time_unknown", file=str(path), reason=str(error))
        return _Saved(0, ())
