"""The schedule: which reading of which vehicle is due when. Pure.

The fleet's readings have evenly spaced slots: vehicle i of N has slots i, N + i, 2N + i …, and slot j is due
j / (N·rate) seconds after the anchor. So 1,000 vehicles at 1 Hz give one reading per millisecond. A partition
has the slots of its vehicles; its readings are numbered from 0 in the order in which they are due.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from shared.vehicles.hash_random import Ints

_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class DueReadings:
    """Readings in the order in which they are due. `offsets_us` are their due times after the anchor."""

    vehicles: Ints
    reading_nos: Ints
    offsets_us: Ints

    def slice(self, start: int, end: int) -> Self:
        """Return the readings from index `start` to `end` - 1."""
        return type(self)(self.vehicles[start:end], self.reading_nos[start:end], self.offsets_us[start:end])


@dataclass(frozen=True, slots=True)
class Schedule:
    """The schedule of one partition.

    `next_reading_nos` are the reading numbers of the vehicles in their first slots.
    """

    fleet_size: int
    slots_per_s: float
    vehicles: Sequence[int]  # ascending
    next_reading_nos: Sequence[int]
    slots: int | None  # of the whole fleet; None: endless

    @classmethod
    def from_rate(
        cls,
        vehicles: Sequence[int],
        next_reading_nos: Sequence[int],
        *,
        fleet_size: int,
        rate_hz: float,
        seconds: float | None = None,
    ) -> Self:
        """Make the schedule of a partition's `vehicles` (ascending) in a fleet of `fleet_size` vehicles.

        Each vehicle sends at `rate_hz`, for `seconds`, or endlessly if `seconds` is None.
        """
        slots_per_s = fleet_size * rate_hz
        # A slot due exactly at the end is not part of the run; the tolerance is for 0.1 s · 10 Hz.
        slots = None if seconds is None else max(0, math.ceil(seconds * slots_per_s - 1e-6))
        return cls(fleet_size, slots_per_s, vehicles, next_reading_nos, slots)

    @property
    def total(self) -> int | None:
        """The number of the partition's readings in the whole run, or None if the run is endless."""
        return None if self.slots is None else self._count_readings_before(self.slots)

    def count_due(self, elapsed_us: int) -> int:
        """Return how many readings are due by `elapsed_us`; at most `total`."""
        if elapsed_us < 0:
            return 0
        slots = math.floor(elapsed_us * self.slots_per_s / _US_PER_S) + 1
        return self._count_readings_before(slots if self.slots is None else min(slots, self.slots))

    def offset_us(self, reading: int) -> int:
        """Return when a reading is due, in microseconds after the anchor. Readings are numbered from 0.

        The partition must have vehicles.
        """
        round_no, index = divmod(reading, len(self.vehicles))
        slot = round_no * self.fleet_size + self.vehicles[index]
        return math.ceil(slot * _US_PER_S / self.slots_per_s)

    def readings(self, first: int, end: int) -> DueReadings:
        """Return the readings with the numbers `first` to `end` - 1."""
        rounds, indexes = np.divmod(np.arange(first, end, dtype=np.int64), len(self.vehicles))
        vehicles = np.array(self.vehicles, np.int64)[indexes]
        slots = rounds * self.fleet_size + vehicles
        offsets_us = np.ceil(slots * _US_PER_S / self.slots_per_s).astype(np.int64)
        first_nos = np.array(self.next_reading_nos, np.int64)[indexes]
        return DueReadings(vehicles, first_nos + rounds, offsets_us)

    def _count_readings_before(self, slot: int) -> int:
        rounds, into_round = divmod(slot, self.fleet_size)
        return rounds * len(self.vehicles) + bisect_left(self.vehicles, into_round)


@dataclass(frozen=True, slots=True)
class Packing:
    """The packing of readings into events, `pack` readings each.

    The first reading of a pack waits at most `linger_us` microseconds for the pack to fill.
    """

    pack: int
    linger_us: int

    def count_ready(self, schedule: Schedule, sent: int, due: int, elapsed_us: int) -> int:
        """Return how many due readings to send now: all full packs, and perhaps a partial pack.

        A partial pack is sent once its first reading has waited `linger_us`, or at the end of the run.
        """
        unsent = due - sent
        partial = unsent % self.pack
        if not partial or due == schedule.total:
            return unsent
        has_lingered = elapsed_us >= schedule.offset_us(due - partial) + self.linger_us
        return unsent if has_lingered else unsent - partial

    def next_ready_us(self, schedule: Schedule, sent: int) -> int:
        """Return when the next event is ready, in microseconds after the anchor.

        An event is ready when its pack is full, or when its first reading has waited `linger_us`.
        """
        last = sent + self.pack - 1
        if schedule.total is not None:
            last = min(last, schedule.total - 1)
        first_us = schedule.offset_us(sent)
        return min(schedule.offset_us(last), first_us + (self.linger_us if self.pack > 1 else 0))
