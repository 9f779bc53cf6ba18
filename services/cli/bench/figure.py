"""A figure beside the floor that was measured in the same run (pure)."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Lap:
    """One pass over everything in the hub, or over so many requests, and the time that it took."""

    readings: int
    took_s: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Readings a second, by the clock."""
        return self.readings / self.took_s

    @property
    def cpu_rate(self) -> float:
        """Readings per second of processor time: what a machine shared with others cannot blur."""
        return self.readings / self.cpu_s


@dataclass(frozen=True, slots=True)
class Figure:
    """`rate` and `floor` in `unit`; the `cpu_` ones per second of the measured processes' processor time."""

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


def figure(
    name: str,
    ours: Sequence[Lap],
    floors: Sequence[Lap],
    cores: int,
    *,
    has_own_cores: bool,
    of: str = "readings",
) -> Figure:
    """The middle lap of each: the machine's noise is in both, and the best of either would flatter it.

    By the clock where what is measured has its cores to itself. Where hub and storage share them, ours has
    more of these beside it than the floor has, and a clock would measure that: so both by processor time.
    """
    cpu_rate = statistics.median(lap.cpu_rate for lap in ours)
    cpu_floor = statistics.median(lap.cpu_rate for lap in floors)
    if not has_own_cores:
        return Figure(
            name, cpu_rate, cpu_floor, cpu_rate / cpu_floor, f"{of}/CPU s", cores, cpu_rate, cpu_floor
        )
    rate, floor = _middle(ours), _middle(floors)
    return Figure(name, rate, floor, rate / floor, f"{of}/s", cores, cpu_rate, cpu_floor)


def percentile(values: Sequence[float], percent: int) -> float:
    """Between the two values next to it where none stands just there."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _middle(laps: Sequence[Lap]) -> float:
    return statistics.median(lap.rate for lap in laps)
