"""Misbehaviour on request: answers that are lost, and refusals that no client caused."""

from dataclasses import dataclass
from enum import Enum, auto

from services.emulator.storage.errors import Refused


class Kind(Enum):
    FAIL = auto()  # refused before anything is done
    DROP_ANSWER = auto()  # done, durably, and then the connection breaks


@dataclass(slots=True)
class Fault:
    """One armed fault: the next `count` requests it fits."""

    kind: Kind
    count: int
    operation: str | None
    path_prefix: str
    status: int = 0
    code: str = ""

    def fits(self, operation: str, resource: str) -> bool:
        return self.operation in {None, operation} and resource.startswith(self.path_prefix)

    def refusal(self) -> Refused:
        return Refused(self.code, status=self.status, detail="a fault that was asked for")


class Faults:
    """What is armed; a request takes at most one. `path_prefix` is of `container/path`, a rename's target."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []

    def drop_answer(self, *, count: int = 1, operation: str | None = None, path_prefix: str = "") -> None:
        """Do what is asked, then break the connection instead of answering."""
        self._armed.append(Fault(Kind.DROP_ANSWER, count, operation, path_prefix))

    def fail(
        self,
        *,
        status: int = 503,
        code: str = "ServerBusy",
        count: int = 1,
        operation: str | None = None,
        path_prefix: str = "",
    ) -> None:
        """Answer with an error and do nothing."""
        self._armed.append(Fault(Kind.FAIL, count, operation, path_prefix, status, code))

    def clear(self) -> None:
        self._armed.clear()

    def take(self, operation: str, resource: str) -> Fault | None:
        """The first armed fault that fits this request, used up by one."""
        for fault in self._armed:
            if fault.fits(operation, resource):
                fault.count -= 1
                if fault.count <= 0:
                    self._armed.remove(fault)
                return fault
        return None
