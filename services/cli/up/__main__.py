"""`fleetprice up`: run the whole stack on one machine, with a simulated fleet."""

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
    """A second Ctrl-C ended the stack at once, before it was drained and verified."""


async def serve(settings: UpSettings, stop: asyncio.Event) -> int:
    """Run the stack to its end, and return the exit code. Raises NeedsAttention if a person must act."""
    chosen = ports.choose_free(ports.lay_out(settings.port_base))
    at_once = asyncio.Event()
    _handle_signals(stop, at_once)
    with lock_data_dir(settings.data, "up"):
        start_logs(settings.data, programs.SERVICES)
        view = _make_view(settings, stop)
        try:
            async with Supervisor() as supervisor:
                stack = Stack(settings, chosen, os.environ, supervisor, view)
                return await first_completed(
                    stack.run(stop), supervisor.failure(), _kill_on_second_signal(at_once, supervisor)
                )
        except (KeepsFailing, NotReady, Unverified, EndedAtOnce) as error:
            view.close()  # the page on the terminal ends before a line is written to it
            sys.stderr.write(f"fleetprice: {error}\n")
            return EXIT_FOUND_WRONG
        finally:
            view.close()


async def _kill_on_second_signal(at_once: asyncio.Event, supervisor: Supervisor) -> NoReturn:
    await at_once.wait()
    supervisor.kill_all()
    raise EndedAtOnce("ended at once: nothing was verified")


def _handle_signals(stop: asyncio.Event, at_once: asyncio.Event) -> None:
    """Set `stop` on the first signal, which begins a drain, and `at_once` on the second."""

    def on_signal() -> None:
        if stop.is_set():
            at_once.set()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)


def _make_view(settings: UpSettings, stop: asyncio.Event) -> View:
    if settings.as_json:
        return JsonLines(stop.set)
    return LivePage() if sys.stdout.isatty() else PlainText(stop.set)


def main(overrides: Mapping[str, Any] | None = None) -> int:
    """Run until the fleet's end or Ctrl-C, and return the exit code."""
    return run_service(UpSettings, overrides, serve)


if __name__ == "__main__":
    sys.exit(main())
