"""Misbehaviour on request: refusals that no client caused, answers that are lost or late.

In a test: `storage.faults.inject(Fault("fail", operation="rename", times=2))`; over HTTP the same fields as
JSON, `POST /faults {"service": "storage", "kind": "fail", "operation": "rename", "times": 2}`.
docs/emulator-faults.md shows each of them.
"""

import time
from collections.abc import Callable
from typing import Literal

import msgspec

from services.emulator.armed_faults import MAX_DELAY_MS, ArmedFault, FaultBook, FaultSchedule, demand
from services.emulator.storage.model.errors import CATALOG, Refused
from services.emulator.storage.wire.routing import OPERATIONS

SERVICE = "storage"
OPERATION_NAMES = frozenset(operation.name for operation in OPERATIONS.values())

At = Literal["before", "after"]

_DEFAULT_MOMENT: dict[str, At] = {"fail": "before", "drop_answer": "after", "slow": "before"}
_DEFAULT_CODE = "ServerBusy"
_DEFAULT_CODES = {None: _DEFAULT_CODE, 503: _DEFAULT_CODE, 500: "InternalError"}
_ERROR_STATUS = range(400, 600)


class Fault(FaultSchedule, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What goes wrong (`kind`), when (`at`) and for which requests; a field not given matches everything.

    `at` "before": nothing is done yet, and nothing will be unless it is only slow. "after": it is done,
    durably, whatever the client is told; a request that is refused in any case is left alone.
    `path_prefix` is of `container/path`, a rename's target.
    """

    kind: Literal["fail", "drop_answer", "slow"]
    operation: str | None = None
    path_prefix: str = ""
    at: At | None = None
    status: int | None = None
    code: str | None = None
    delay_ms: float | None = None
    service: Literal["storage"] = "storage"

    def __post_init__(self) -> None:
        """Raises ValueError: what is asked for makes no sense."""
        super().__post_init__()
        demand(self.kind in _DEFAULT_MOMENT, f"kind is one of {', '.join(_DEFAULT_MOMENT)}")
        if self.at is None:
            msgspec.structs.force_setattr(self, "at", _DEFAULT_MOMENT[self.kind])
        demand(self.at in {"before", "after"}, "at is before or after")
        demand(
            self.operation is None or self.operation in OPERATION_NAMES,
            f"operation is one of {', '.join(sorted(OPERATION_NAMES))}",
        )
        self._check_content()

    def _check_content(self) -> None:
        if self.kind == "slow":
            demand(
                self.delay_ms is not None and 0 < self.delay_ms <= MAX_DELAY_MS,
                f"slow needs delay_ms, above 0 and at most {MAX_DELAY_MS}",
            )
        else:
            demand(self.delay_ms is None, f"delay_ms is for slow, not for {self.kind}")
        if self.kind != "fail":
            demand(
                self.status is None and self.code is None,
                f"status and code are for fail, not for {self.kind}",
            )
        demand(self.status is None or self.status in _ERROR_STATUS, "status is 400 to 599")
        demand(
            self.code is not None or self.status in _DEFAULT_CODES,
            f"a status of {self.status} needs its code",
        )
        demand(self.code is None or (self.code.isalnum() and self.code.isascii()), "code is like ServerBusy")
        demand(
            self.status is not None or self.code is None or self.code in CATALOG,
            f"{self.code} has no status of its own here: give one",
        )

    @property
    def delay_s(self) -> float:
        return (self.delay_ms or 0) / 1000

    def refusal(self) -> Refused:
        """What the client is told."""
        code = self.code or _DEFAULT_CODES[self.status]
        return Refused(code, status=self.status, detail="a fault that was asked for")

    def fits(self, operation: str, resource: str) -> bool:
        return self.operation in {None, operation} and resource.startswith(self.path_prefix)


class Faults:
    """What is armed; a request takes at most one before it is done and one after."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.book: FaultBook[Fault] = FaultBook(SERVICE, clock)

    @property
    def is_armed(self) -> bool:
        return self.book.is_armed

    def inject(self, fault: Fault) -> ArmedFault[Fault]:
        """Let it lie in wait."""
        return self.book.arm(fault)

    def drop_answer(self, *, count: int = 1, operation: str | None = None, path_prefix: str = "") -> None:
        """Do what is asked, then break the connection instead of answering."""
        self.inject(Fault("drop_answer", operation, path_prefix, times=count))

    def fail(
        self,
        *,
        status: int = 503,
        code: str = _DEFAULT_CODE,
        count: int = 1,
        operation: str | None = None,
        path_prefix: str = "",
    ) -> None:
        """Answer with an error and do nothing."""
        self.inject(Fault("fail", operation, path_prefix, status=status, code=code, times=count))

    def clear(self) -> None:
        self.book.clear()

    def consume(self, at: At, operation: str, resource: str) -> Fault | None:
        """The fault that strikes this request now, used up by one."""
        return self.book.consume(lambda fault: fault.at == at and fault.fits(operation, resource))
