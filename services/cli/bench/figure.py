"""A figure and the floor that is measured in the same run (pure)."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Lap:
    """A pass over all readings in a hub, or over a number of requests, with its time and CPU time."""

    readings: int
    took_s: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Return the readings or requests per second by the clock."""
        return self.readings / self.took_s

    @property
    def cpu_rate(self) -> float:
        """Return the readings or requests per second of processor time.

        Other load on the machine does not change this rate.
        """
        return self.readings / self.cpu_s


@dataclass(frozen=True, slots=True)
class Figure:
    """The rate of a service, and the floor that it is compared with.

    `rate` and `floor` are in `unit`; `cpu_rate` and `cpu_floor` are per second of processor time.
    """

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
    """Compare the median lap of the service (`ours`) with the median lap of the floor.

    The median has the machine's noise on both sides; the best lap of either side would flatter that side.
    The rates are by the clock if the measured process has cores to itself. Otherwise hub and storage share
    its cores, and work more during a lap of the service than during a lap of the floor; so the rates are then
    per second of processor time.
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
    """Return a percentile of the values, interpolated between the two nearest values."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _median_rate(laps: Sequence[Lap]) -> float:
    return statistics.median(lap.rate for lap in laps)
