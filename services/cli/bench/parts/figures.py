"""How a figure is measured: ours and the floor in turn, the best of several rounds each."""

import time
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 5

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Figure:
    """`rate` and `floor` in `unit`, on `cores` cores; `ratio` is what we keep of the floor."""

    name: str
    rate: float
    floor: float
    unit: str
    cores: int = 1

    @property
    def ratio(self) -> float:
        return self.rate / self.floor


def measure(name: str, unit: str, items: int, ours: Work, floor: Work) -> Figure:
    """The best rate of each over ROUNDS rounds, taken in turn so that both see the same machine."""
    best_ours = best_floor = float("inf")
    for _ in range(ROUNDS):
        best_floor = min(best_floor, _seconds(floor))
        best_ours = min(best_ours, _seconds(ours))
    return Figure(name, items / best_ours, items / best_floor, unit)


def _seconds(work: Work) -> float:
    start_s = time.perf_counter()
    work()
    return time.perf_counter() - start_s
