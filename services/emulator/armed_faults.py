"""Faults that lie in wait, of either service: how often, how long and how likely each strikes."""

from collections import deque
from collections.abc import Callable
from random import Random
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar

import msgspec

from shared.service.log_events import EventLog

log = EventLog(__name__)

# Of the faults that are over, so many are still listed: a test asks afterwards whether its fault struck.
_MAX_LISTED_OVER = 100
MAX_DELAY_MS = 600_000


class FaultSchedule(
    msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """When a fault strikes what it fits: once, unless told otherwise; with `seconds` alone, every time.

    `times` "always" means until it is cleared. The first `after` that fit go unharmed; of the others each is
    struck with `probability`, drawn from `seed`.
    """

    times: int | Literal["always"] | None = None
    seconds: float | None = None
    after: int = 0
    probability: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError: what is asked for makes no sense."""
        demand(
            self.times in {None, "always"} or _is_at_least(self.times, 1), "times is 1 or more, or 'always'"
        )
        demand(self.seconds is None or self.seconds > 0, "seconds is more than 0")
        demand(self.after >= 0, "after is 0 or more")
        demand(0 < self.probability <= 1, "probability is above 0 and at most 1")

    @property
    def are_default(self) -> bool:
        return (self.times, self.seconds, self.after, self.probability) == (None, None, 0, 1.0)

    @property
    def max_strikes(self) -> float:
        """How often it strikes at most."""
        if self.times is None:
            return float("inf") if self.seconds else 1
        return float("inf") if self.times == "always" else self.times


def demand(is_so: bool, sentence: str) -> None:
    """Raises ValueError with the sentence that says what is expected."""
    if not is_so:
        raise ValueError(sentence)


def _is_at_least(value: object, least: int) -> bool:
    return isinstance(value, int) and value >= least


F = TypeVar("F", bound=FaultSchedule)


class ArmedFault(Generic[F]):
    """A fault that was asked for; `with faults.inject(…) as armed:` takes it back at the block's end.

    `struck` counts what it has hit so far: sends, requests, writes to a reader or, where it happened at once,
    links.
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
        """It strikes no more; what it holds up already stays held up."""
        self._is_disarmed = True

    def is_over(self, now_s: float) -> bool:
        return self._is_disarmed or self.struck >= self.fault.max_strikes or now_s >= self._ends_s

    def try_strike(self) -> bool:
        """Whether this one, which it fits, is struck (it is counted)."""
        self._match_count += 1
        if self._match_count <= self.fault.after or self._random.random() >= self.fault.probability:
            return False
        self.struck += 1
        return True


class FaultBook(Generic[F]):
    """The faults of one service. `is_armed` is what a hot path looks at; false costs nothing further."""

    def __init__(self, service: str, clock: Callable[[], float]) -> None:
        self.is_armed = False
        self._service = service
        self._clock = clock
        self._count = 0
        self._armed: list[ArmedFault[F]] = []
        self._over: deque[ArmedFault[F]] = deque(maxlen=_MAX_LISTED_OVER)

    def arm(self, fault: F) -> ArmedFault[F]:
        """Let it lie in wait."""
        armed = self._register(fault)
        self._armed.append(armed)
        self.is_armed = True
        return armed

    def record_immediate(self, fault: F, struck: int) -> ArmedFault[F]:
        """Note what took place at once."""
        done = self._register(fault)
        done.struck = struck
        done.disarm()
        self._over.append(done)
        return done

    def consume(self, fits: Callable[[F], bool]) -> F | None:
        """The first armed fault that fits and strikes."""
        if not self.is_armed:
            return None
        self._retire_over()
        struck = next((one for one in self._armed if fits(one.fault) and one.try_strike()), None)
        self._retire_over()
        return None if struck is None else struck.fault

    def disarm(self, fault_id: str) -> bool:
        """Take one back; false where there is none of that name."""
        found = next((one for one in self._armed if one.id == fault_id), None)
        if found is not None:
            found.disarm()
            self._retire_over()
        return found is not None

    def clear(self) -> None:
        """Take all back and forget those that are over."""
        for one in self._armed:
            one.disarm()
        self._retire_over()
        self._over.clear()

    def describe_all(self) -> list[dict[str, Any]]:
        """All in the order in which they were asked for, those that are over too, as JSON has them."""
        self._retire_over()
        over = [describe(one) | {"state": "over"} for one in self._over]
        armed = [describe(one) | {"state": "armed"} for one in self._armed]
        return sorted(over + armed, key=_fault_number)

    def _register(self, fault: F) -> ArmedFault[F]:
        self._count += 1
        log.info("fault_injected", service=self._service, **msgspec.to_builtins(fault))
        return ArmedFault(self._service, self._count, fault, self._clock())

    def _retire_over(self) -> None:
        now_s = self._clock()
        for one in [one for one in self._armed if one.is_over(now_s)]:
            self._armed.remove(one)
            self._over.append(one)
        self.is_armed = bool(self._armed)


def describe(armed: ArmedFault[Any]) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(armed.fault)
    return {"id": armed.id, "service": armed.service, "struck": armed.struck, **fields}


def _fault_number(described: dict[str, Any]) -> int:
    return int(described["id"].rpartition("-")[2])
