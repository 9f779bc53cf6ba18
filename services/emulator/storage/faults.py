"""Fault injection of the storage service: errors, lost responses, delays.

In a test: `storage.faults.inject(Fault("fail", operation="rename", times=2))`; over HTTP the same fields as
JSON, `POST /faults {"service": "storage", "kind": "fail", "operation": "rename", "times": 2}`.
docs/emulator-faults.md describes each kind.
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
    """A fault of the storage service. It applies to the requests that match all of its fields.

    `at` "before": the fault strikes before the request is performed. Unless the fault is "slow", the request
    is then not performed. `at` "after": the fault strikes when the change is durable; requests that fail
    anyway are not affected. `path_prefix` is a prefix of `container/path`; for a rename, of its target.
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
        """Check and complete the fields. Raises ValueError if their combination makes no sense."""
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
        """Return the error response of a `fail` fault."""
        code = self.code or _DEFAULT_CODES[self.status]
        return Refused(code, status=self.status, detail="a fault that was asked for")

    def matches(self, operation: str, resource: str) -> bool:
        return self.operation in {None, operation} and resource.startswith(self.path_prefix)


class Faults:
    """The armed faults. A request meets at most one fault before it is performed and one after."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.book: FaultBook[Fault] = FaultBook(SERVICE, clock)

    @property
    def is_armed(self) -> bool:
        return self.book.is_armed

    def inject(self, fault: Fault) -> ArmedFault[Fault]:
        """Arm a fault."""
        return self.book.arm(fault)

    def drop_answer(self, *, count: int = 1, operation: str | None = None, path_prefix: str = "") -> None:
        """Arm a fault that performs the request, then breaks the connection instead of responding."""
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
        """Arm a fault that responds with an error and changes nothing."""
        self.inject(Fault("fail", operation, path_prefix, status=status, code=code, times=count))

    def clear(self) -> None:
        self.book.clear()

    def consume(self, at: At, operation: str, resource: str) -> Fault | None:
        """Return the first armed fault that strikes this request, or None. Counts the strike."""
        return self.book.consume(lambda fault: fault.at == at and fault.matches(operation, resource))
