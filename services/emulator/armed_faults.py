"""Armed faults of both services: how many operations each strikes, for how long and how probably."""

from collections import deque
from collections.abc import Callable
from random import Random
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar

import msgspec

from shared.service.log_events import EventLog

log = EventLog(__name__)

# Faults that are over stay listed up to this number, so that a test can check that its fault struck.
_MAX_LISTED_OVER = 100
MAX_DELAY_MS = 600_000


class FaultSchedule(
    msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Schedule of a fault: how many of the matching operations the fault strikes, and when.

    By default it strikes one; with `seconds` and no `times`, every one in that time. `times` "always" means
    until the fault is cleared. The first `after` matches are not struck. Each later match is struck with
    `probability`, drawn from a random generator with the seed `seed`.
    """

    times: int | Literal["always"] | None = None
    seconds: float | None = None
    after: int = 0
    probability: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the fields. Raises ValueError if a value is out of range."""
        demand(
            self.times in {None, "always"} or _is_at_least(self.times, 1), "times is 1 or more, or 'always'"
        )
        demand(self.seconds is None or self.seconds > 0, "seconds is more than 0")
        demand(self.after >= 0, "after is 0 or more")
        demand(0 < self.probability <= 1, "probability is above 0 and at most 1")

    @property
    def is_default(self) -> bool:
        return (self.times, self.seconds, self.after, self.probability) == (None, None, 0, 1.0)

    @property
    def max_strikes(self) -> float:
        """The maximum number of strikes, which may be infinite."""
        if self.times is None:
            return float("inf") if self.seconds else 1
        return float("inf") if self.times == "always" else self.times


def demand(is_so: bool, sentence: str) -> None:
    """Check a condition.

    Raises ValueError with `sentence`, which states the expectation, if `is_so` is false.
    """
    if not is_so:
        raise ValueError(sentence)


def _is_at_least(value: object, least: int) -> bool:
    return isinstance(value, int) and value >= least


F = TypeVar("F", bound=FaultSchedule)


class ArmedFault(Generic[F]):
    """An armed fault. `with faults.inject(…) as armed:` disarms the fault at the end of the block.

    `struck` counts what the fault has struck so far: sends, requests, writes to a reader or, if the fault
    struck immediately when it was injected, links.
    """

    def __init__(self, service: str, number: int, fault: F, now_s: float) -> None:
        self.id = f"{service}-{number}"
        self.service = service
        self.fault = fault
        self.struck = 0
        self._match_count = 0
        self._is_disarmed = False
        self._random = Random(fault.seed)  # noqa: S311 - repeatable by intent
        self._ends_s = float("inf") if fault.seconds is None else now_s + fault.seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.disarm()

    def disarm(self) -> None:
        """Stop the fault from striking. An operation that the fault already delays stays delayed."""
        self._is_disarmed = True

    def is_over(self, now_s: float) -> bool:
        return self._is_disarmed or self.struck >= self.fault.max_strikes or now_s >= self._ends_s

    def try_strike(self) -> bool:
        """Count one matching operation, and return whether the fault strikes it."""
        self._match_count += 1
        if self._match_count <= self.fault.after or self._random.random() >= self.fault.probability:
            return False
        self.struck += 1
        return True


class FaultBook(Generic[F]):
    """The faults of one service. Hot paths read `is_armed` first and call `consume` only if it is true."""

    def __init__(self, service: str, clock: Callable[[], float]) -> None:
        self.is_armed = False
        self._service = service
        self._clock = clock
        self._count = 0
        self._armed: list[ArmedFault[F]] = []
        self._over: deque[ArmedFault[F]] = deque(maxlen=_MAX_LISTED_OVER)

    def arm(self, fault: F) -> ArmedFault[F]:
        """Arm a fault."""
        armed = self._register(fault)
        self._armed.append(armed)
        self.is_armed = True
        return armed

    def record_immediate(self, fault: F, struck: int) -> ArmedFault[F]:
        """Record a fault that struck `struck` times when it was injected, and is therefore over."""
        done = self._register(fault)
        done.struck = struck
        done.disarm()
        self._over.append(done)
        return done

    def consume(self, matches: Callable[[F], bool]) -> F | None:
        """Return the first armed fault that matches and strikes, or None. The strike is counted."""
        if not self.is_armed:
            return None
        self._retire_over()
        struck = next((armed for armed in self._armed if matches(armed.fault) and armed.try_strike()), None)
        self._retire_over()
        return None if struck is None else struck.fault

    def disarm(self, fault_id: str) -> bool:
        """Disarm a fault. Return whether an armed fault has this id."""
        fault = next((armed for armed in self._armed if armed.id == fault_id), None)
        if fault is not None:
            fault.disarm()
            self._retire_over()
        return fault is not None

    def clear(self) -> None:
        """Disarm all faults and forget the faults that are over."""
        for armed in self._armed:
            armed.disarm()
        self._retire_over()
        self._over.clear()

    def describe_all(self) -> list[dict[str, Any]]:
        """Describe all faults, including recent ones that are over, as JSON objects in order of injection."""
        self._retire_over()
        over = [describe(armed) | {"state": "over"} for armed in self._over]
        still_armed = [describe(armed) | {"state": "armed"} for armed in self._armed]
        return sorted(over + still_armed, key=_fault_number)

    def _register(self, fault: F) -> ArmedFault[F]:
        self._count += 1
        log.info("fault_injected", service=self._service, **msgspec.to_builtins(fault))
        return ArmedFault(self._service, self._count, fault, self._clock())

    def _retire_over(self) -> None:
        now_s = self._clock()
        for armed in [armed for armed in self._armed if armed.is_over(now_s)]:
            self._armed.remove(armed)
            self._over.append(armed)
        self.is_armed = bool(self._armed)


def describe(armed: ArmedFault[Any]) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(armed.fault)
    return {"id": armed.id, "service": armed.service, "struck": armed.struck, **fields}


def _fault_number(description: dict[str, Any]) -> int:
    return int(description["id"].rpartition("-")[2])
