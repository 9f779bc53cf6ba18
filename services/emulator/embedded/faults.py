"""Fault injection for tests, usable from any thread. Hubs and storage have the same interface."""

from functools import partial
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

import msgspec

from services.emulator.armed_faults import ArmedFault, FaultSchedule
from services.emulator.embedded.loop_thread import LoopThread

F = TypeVar("F", bound=FaultSchedule)


class _FaultyService(Protocol[F]):
    def inject(self, fault: F) -> ArmedFault[F]: ...

    def clear(self) -> None: ...


class InjectedFault(Generic[F]):
    """An injected fault.

    `with emulator.event_hubs.faults.inject(…):` disarms the fault at the end of the block.
    """

    def __init__(self, armed: ArmedFault[F], thread: LoopThread[Any]) -> None:
        self._armed = armed
        self._thread = thread

    @property
    def struck(self) -> int:
        """Number of sends, requests or links that the fault has struck."""
        return self._thread.call(lambda: self._armed.struck)

    def disarm(self) -> None:
        """Stop the fault from striking."""
        self._thread.call(self._armed.disarm)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.disarm()


class Faults(Generic[F]):
    """Faults of one service. docs/emulator-faults.md lists the kinds of faults and their fields."""

    def __init__(self, service: _FaultyService[F], fault: type[F], thread: LoopThread[Any]) -> None:
        self._service = service
        self._fault = fault
        self._thread = thread

    def inject(self, kind: str, **fields: object) -> InjectedFault[F]:
        """Inject a fault with the fields of `POST /faults`. Raises ValueError if the fields make no sense."""
        try:
            fault = msgspec.convert({"kind": kind, **fields}, self._fault)
        except msgspec.ValidationError as exc:
            raise ValueError(str(exc)) from exc
        return InjectedFault(self._thread.call(partial(self._service.inject, fault)), self._thread)

    def clear(self) -> None:
        """Disarm all faults of the service."""
        self._thread.call(self._service.clear)
