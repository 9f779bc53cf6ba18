"""Who is still let in while others wait: only who can be answered within a stated time (pure)."""

from dataclasses import dataclass, field

# Of late: what was measured a hundred times ago counts a third of what was measured just now.
_KEPT = 0.99
# So few are let in whatever the clock says: a machine that stood still for a moment is not overloaded.
_FEW_VEHICLES = 64


@dataclass(slots=True)
class Pace:
    """How long one of something takes, of late, in seconds."""

    _spent_s: float = 0.0
    _count: float = 0.0

    def took(self, spent_s: float, count: int) -> None:
        self._spent_s = self._spent_s * _KEPT + spent_s
        self._count = self._count * _KEPT + count

    @property
    def each_s(self) -> float:
        """0 where nothing was measured yet."""
        return self._spent_s / self._count if self._count else 0.0


@dataclass(slots=True)
class Admission:
    """`max_wait_s` bounds what the last of those who wait for one run has to wait, from its opening on.

    What has gone by since then is known; what is still to come is reckoned from what pricing a vehicle and
    answering a request took of late, so that the bound holds on a slow machine as on a fast one.
    """

    max_wait_s: float
    max_vehicles: int
    pricing: Pace = field(default_factory=Pace)
    answering: Pace = field(default_factory=Pace)

    def admits(self, waited_s: float, requests: int, vehicles: int) -> bool:
        """Whether one more may join `requests` with `vehicles`, whose run was opened `waited_s` ago."""
        if vehicles < _FEW_VEHICLES:
            return vehicles < self.max_vehicles
        ahead_s = vehicles * self.pricing.each_s + requests * self.answering.each_s
        return vehicles < self.max_vehicles and waited_s + ahead_s < self.max_wait_s
