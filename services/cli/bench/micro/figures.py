"""Measures one figure: runs the part and its floor alternately, and keeps the best round of each."""

import time
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 5

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Figure:
    """The rate of a part, and the rate of its floor.

    `rate` and `floor` are in `unit`, measured on `cores` cores.
    """

    name: str
    rate: float
    floor: float
    unit: str
    cores: int = 1

    @property
    def ratio(self) -> float:
        return self.rate / self.floor


def measure(name: str, unit: str, items: int, ours: Work, floor: Work) -> Figure:
    """Time `ours` and `floor` in turn, and keep the best of ROUNDS rounds of each.

    They take turns so that both run under the same conditions.
    """
    best_ours = best_floor = float("inf")
    for _ in range(ROUNDS):
        best_floor = min(best_floor, _time(floor))
        best_ours = min(best_ours, _time(ours))
    return Figure(name, items / best_ours, items / best_floor, unit)


def _time(work: Work) -> float:
    start_s = time.perf_counter()
    work()
    return time.perf_counter() - start_s
