"""Admission: whether another request can be answered within the time limit, given those that wait. Pure."""

from dataclasses import dataclass, field

# A measurement of a hundred measurements ago weighs a third of the newest.
_DECAY = 0.99
# Always admitted, whatever the time: a machine that stood still for a moment is not overloaded.
_MIN_VEHICLES = 64


@dataclass(slots=True)
class Pace:
    """A decaying mean of the seconds that one unit of work takes."""

    _spent_s: float = 0.0
    _count: float = 0.0

    def record(self, spent_s: float, count: int) -> None:
        self._spent_s = self._spent_s * _DECAY + spent_s
        self._count = self._count * _DECAY + count

    @property
    def each_s(self) -> float:
        """The mean; 0 before the first measurement."""
        return self._spent_s / self._count if self._count else 0.0


@dataclass(slots=True)
class Admission:
    """A limit on waiting: the last request of a run is answered within `max_wait_s` of the run's opening.

    The time since the opening is known. The time to come is estimated from what pricing a vehicle and
    answering a request took recently, so that the limit holds on slow machines and fast ones.
    """

    max_wait_s: float
    max_vehicles: int
    pricing: Pace = field(default_factory=Pace)
    answering: Pace = field(default_factory=Pace)

    def admits(self, waited_s: float, requests: int, vehicles: int) -> bool:
        """Return True if another request may join these in a run that was opened `waited_s` ago."""
        if vehicles < _MIN_VEHICLES:
            return vehicles < self.max_vehicles
        ahead_s = vehicles * self.pricing.each_s + requests * self.answering.each_s
        return vehicles < self.max_vehicles and waited_s + ahead_s < self.max_wait_s
