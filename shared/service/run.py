"""The start and end of a service's process: signals, event loop, death of the parent process, exit codes."""

import asyncio
import ctypes
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import uvloop

from shared.service import failpoints
from shared.service.addresses import host_of_hubs, is_loopback
from shared.service.credentials import close_credential
from shared.service.errors import NeedsAttention, SettingsError, SinkUnavailable, SourceUnavailable
from shared.service.logs import log, set_up_logs
from shared.service.settings import ConnectionSettings, S, find_unresolved, read_settings

EXIT_DONE, EXIT_FOUND_WRONG, EXIT_NEEDS_ATTENTION = 0, 1, 2
_PR_SET_PDEATHSIG = 1
_COLLECT_EVERY_OBJECTS = 20_000

Service = Callable[[S, asyncio.Event], Awaitable[int | None]]


def run_service(kind: type[S], overrides: Mapping[str, Any] | None, service: Service[S]) -> int:
    """Run `service(settings, stop)` until it returns, and return the exit code.

    The settings are read as `kind`; `overrides` win over the environment. SIGTERM and SIGINT set `stop`; the
    service must then drain and return. NeedsAttention becomes one line on stderr and exit code 2. Any other
    exception is a bug or a lost sink: it is logged, and the exit code is 1.
    """
    try:
        settings = read_settings(kind, overrides)
    except NeedsAttention as error:
        return _print_refusal(error)
    set_up_logs(settings, kind.service.lower())
    try:
        _arm_failpoints(settings)
        _end_with_parent(settings.parent_pid)
        return uvloop.run(_until_stopped(partial(service, settings))) or EXIT_DONE
    except NeedsAttention as error:
        return _print_refusal(_explain(error, settings) or error)
    except Exception as error:  # noqa: BLE001 - the process's edge: logged, and the exit code is 1
        if (reason := _explain(error, settings)) is not None:
            return _print_refusal(reason)
        log.exception("service_failed")
        return EXIT_FOUND_WRONG


def _explain(error: Exception, settings: ConnectionSettings) -> str | None:
    """Return a better explanation of an error if the host that a setting names does not exist, else None.

    Credentials for such a host are often missing as well, and would be blamed.
    """
    is_lost = isinstance(error, SinkUnavailable | SourceUnavailable)
    if not (is_lost or isinstance(error, SettingsError)):
        return None
    reasons = find_unresolved(settings).items()
    return next((reason for variable, reason in reasons if is_lost or f"{variable}:" in str(error)), None)


def _print_refusal(error: NeedsAttention | str) -> int:
    print(f"fleetprice: {error}", file=sys.stderr)  # noqa: T201 - the one line for a person
    return EXIT_NEEDS_ATTENTION


async def _until_stopped(service: Callable[[asyncio.Event], Awaitable[int | None]]) -> int | None:
    # Imported objects live to the end: the collector need not visit them again, nor run every 700 objects.
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY_OBJECTS)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        return await service(stop)
    finally:
        await close_credential()


def _arm_failpoints(settings: ConnectionSettings) -> None:
    if not settings.failpoints:
        return
    address = settings.event_hubs.get_secret_value()
    if address and not is_loopback(host_of_hubs(address, "FLEETPRICE_EVENT_HUBS")):
        raise NeedsAttention("FLEETPRICE_FAILPOINTS is for tests on loopback alone")
    failpoints.arm(settings.failpoints, settings.failpoints_log)


def _end_with_parent(parent_pid: int) -> None:
    """Let the kernel kill this process when its parent dies, even by kill -9 (Linux only, prctl(2))."""
    if not parent_pid:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        sys.exit(EXIT_FOUND_WRONG)
