"""`fleetprice up`: the whole stack on one machine, with a simulated fleet."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

from services.cli.up import ports, programs
from services.cli.up.log_files import start_logs
from services.cli.up.settings import UpSettings
from services.cli.up.stack import NotReady, Stack
from services.cli.up.verifier import Unverified
from services.cli.up.views import JsonLines, LivePage, PlainText, View
from shared.service.data_dir import lock_data_dir
from shared.service.errors import FleetpriceError
from shared.service.processes.supervisor import KeepsFailing, Supervisor
from shared.service.run import EXIT_FOUND_WRONG, run_service
from shared.service.tasks import first_completed


class EndedAtOnce(FleetpriceError):
    """A second Ctrl-C."""


async def serve(settings: UpSettings, stop: asyncio.Event) -> int:
    """Run the stack to its end; the exit code. Raises NeedsAttention where a person must act."""
    chosen = ports.chosen(ports.laid_out(settings.port_base))
    at_once = asyncio.Event()
    _catch_signals(stop, at_once)
    with lock_data_dir(settings.data, "up"):
        start_logs(settings.data, programs.SERVICES)
        view = _view(settings, stop)
        try:
            async with Supervisor() as supervisor:
                stack = Stack(settings, chosen, os.environ, supervisor, view)
                return await first_completed(
                    stack.run(stop), supervisor.failure(), _second_signal(at_once, supervisor)
                )
        except (KeepsFailing, NotReady, Unverified, EndedAtOnce) as error:
            view.close()  # a page on the terminal ends before a line is written there
            sys.stderr.write(f"fleetprice: {error}\n")
            return EXIT_FOUND_WRONG
        finally:
            view.close()


async def _second_signal(at_once: asyncio.Event, supervisor: Supervisor) -> NoReturn:
    await at_once.wait()
    supervisor.kill_all()
    raise EndedAtOnce("ended at once: nothing was verified")


def _catch_signals(stop: asyncio.Event, at_once: asyncio.Event) -> None:
    """The first signal drains, the second ends at once."""

    def signalled() -> None:
        if stop.is_set():
            at_once.set()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, signalled)


def _view(settings: UpSettings, stop: asyncio.Event) -> View:
    if settings.as_json:
        return JsonLines(stop.set)
    return LivePage() if sys.stdout.isatty() else PlainText(stop.set)


def main(overrides: Mapping[str, Any] | None = None) -> int:
    """Run until the fleet's end or Ctrl-C; the exit code."""
    return run_service(UpSettings, overrides, serve)


if __name__ == "__main__":
    sys.exit(main())
