"""A figure and the floor measured in the same run (pure)."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Lap:
    """One pass over everything in a hub, or over a number of requests, with its time and CPU time."""

    readings: int
    took_s: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Readings per second by the clock."""
        return self.readings / self.took_s

    @property
    def cpu_rate(self) -> float:
        """Readings per second of processor time, which other load on the machine does not change."""
        return self.readings / self.cpu_s


@dataclass(frozen=True, slots=True)
class Figure:
    """`rate` and `floor` are in `unit`; `cpu_rate` and `cpu_floor` per second of processor time."""

    name: str
    rate: float
    floor: float
    ratio: float
    unit: str
    cores: int
    cpu_rate: float
    cpu_floor: float

    def as_dict(self) -> dict[str, object]:
        return {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


def compare_laps(
    name: str,
    ours: Sequence[Lap],
    floors: Sequence[Lap],
    cores: int,
    *,
    has_own_cores: bool,
    of: str = "readings",
) -> Figure:
    """Compare the median laps: the machine's noise is in both, and the best of either would flatter it.

    By the clock if what is measured has cores of its own. If hub and storage share them, ours has more of
    their work beside it than the floor has, so both are compared by processor time.
    """
    cpu_rate = statistics.median(lap.cpu_rate for lap in ours)
    cpu_floor = statistics.median(lap.cpu_rate for lap in floors)
    if not has_own_cores:
        return Figure(
            name, cpu_rate, cpu_floor, cpu_rate / cpu_floor, f"{of}/CPU s", cores, cpu_rate, cpu_floor
        )
    rate, floor = _median_rate(ours), _median_rate(floors)
    return Figure(name, rate, floor, rate / floor, f"{of}/s", cores, cpu_rate, cpu_floor)


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile, interpolated between the two nearest values."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _median_rate(laps: Sequence[Lap]) -> float:
    return statistics.median(lap.rate for lap in laps)
