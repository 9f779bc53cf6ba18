"""The local stack, from its start until the result is verified."""

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import aiohttp

from services.cli.up import programs
from services.cli.up.checkpoints import Checkpoints
from services.cli.up.live_prices import LivePrices
from services.cli.up.ports import Ports
from services.cli.up.programs import Environment
from services.cli.up.settings import UpSettings
from services.cli.up.stack_monitor import Addresses, StackMonitor
from services.cli.up.status import Status, make_price
from services.cli.up.verifier import Verifier
from services.cli.up.views import View
from shared.lake.client import LakeConnection, open_lake
from shared.registry.seed import seed_registry
from shared.service.errors import FleetpriceError
from shared.service.local_stack import read_running_stack, with_addresses
from shared.service.logs import log
from shared.service.processes.supervisor import Supervisor
from shared.service.run import EXIT_DONE
from shared.service.tasks import first_completed
from shared.streams.event_hubs.connection import HubConnection

STATUS_INTERVAL_S = 1.0
_FLEET_GRACE_S = 2.0
_FLUSH_GRACE_S = 3.0
# Ctrl-C promises an end within 10 s; the rest is for stopping the emulator.
_INTERRUPT_S = 9.0
_HOST = "127.0.0.1"


class NotReady(FleetpriceError):
    """The stack was not ready within the start limit; the logs say why."""


class Stack:
    """One run of `fleetprice up`."""

    def __init__(
        self,
        settings: UpSettings,
        ports: Ports,
        inherited: Environment,
        supervisor: Supervisor,
        view: View,
    ) -> None:
        self._settings = settings
        self._ports = ports
        self._inherited = inherited
        self._supervisor = supervisor
        self._view = view
        self._phase = "starting"
        self._started_s = time.monotonic()
        self._drain_s = 0.0
        self._is_interrupted = False
        self._verifier: Verifier | None = None
        self._environment: Environment
        self._prices: LivePrices
        self._monitor: StackMonitor

    async def run(self, stop: asyncio.Event) -> int:
        """Start the stack, send readings, drain and verify. Return the exit code.

        Readings are sent until `stop` is set or the fleet ends. If `stop` is set during the start, nothing is
        sent or verified.
        """
        async with AsyncExitStack() as clients:
            await first_completed(self._start(clients), stop.wait())
            if self._phase == "starting":
                return EXIT_DONE  # stopped before anything was sent
            try:
                await first_completed(
                    self._send_and_drain(stop),
                    self._prices.follow(),
                    self._monitor.run(),
                    self._show_status(),
                )
                return await self._verify()
            finally:
                if self._verifier is not None:
                    self._verifier.kill()

    async def _start(self, clients: AsyncExitStack) -> None:
        """Start everything but the fleet, and show `ready`.

        Raises NotReady if the stack is not ready within the start limit.
        """
        limit_s = self._settings.start_limit_s
        try:
            async with asyncio.timeout(limit_s):
                ready = await self._start_services(clients)
                await self._monitor.wait_until_ready()
        except TimeoutError as error:
            logs = self._settings.data / "logs"
            raise NotReady(f"not everything answered within {limit_s:g} s: see {logs}") from error
        self._started_s = time.monotonic()
        self._phase = "running"
        self._view.show_ready(ready)

    async def _start_services(self, clients: AsyncExitStack) -> dict[str, str]:
        """Start all services but the fleet, and return the object that the view shows as `ready`."""
        settings, ports = self._settings, self._ports
        emulator = self._supervisor.start(programs.emulator(settings, ports, self._inherited))
        ready: dict[str, str] = json.loads(await emulator.first_line)
        stack = read_running_stack(settings.data)  # with the keys, which `ready` may not show
        self._environment = programs.connected_environment(self._inherited, stack.event_hubs, stack.storage)
        self._supervisor.start(programs.ingest(settings.data, ports, self._environment))
        connected = with_addresses(settings, stack)
        async with open_lake(LakeConnection.from_settings(connected)) as lake:
            await seed_registry(lake)
        self._supervisor.start(programs.scorer(settings.data, ports, self._environment))
        addresses = _addresses(ready["admin"], ports)
        self._monitor = StackMonitor(
            await clients.enter_async_context(aiohttp.ClientSession()),
            addresses,
            (connected.telemetry_hub, connected.predictions_hub),
            await clients.enter_async_context(
                Checkpoints(connected, programs.consumer_groups(self._environment))
            ),
        )
        self._prices = LivePrices(HubConnection.from_settings(connected), connected.predictions_hub)
        return {**ready, "scorer": addresses.scorer}

    async def _send_and_drain(self, stop: asyncio.Event) -> None:
        """Run the fleet until it ends or `stop` is set, then drain the stack and stop ingest and scorer.

        The drain lasts until every reader has read everything, or until its time limit.
        """
        run_id = f"up-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
        fleet = self._supervisor.start(
            programs.simulator(self._settings, self._ports, self._environment, run_id)
        )
        await first_completed(stop.wait(), fleet.finished.wait())
        self._phase = "draining"
        began_s = time.monotonic()
        self._is_interrupted = stop.is_set()
        self._verifier = await Verifier.start(programs.verify(self._settings.data, self._environment))
        await fleet.stop(_FLEET_GRACE_S)
        settings = self._settings
        limit_s = settings.interrupt_limit_s if self._is_interrupted else settings.drain_limit_s
        try:
            async with asyncio.timeout(limit_s):
                await self._monitor.wait_until_drained()
        except TimeoutError:
            log.warning("readers_behind", waited_s=limit_s)
        await self._supervisor.stop(("scorer", "ingest"), _FLUSH_GRACE_S)
        self._drain_s = time.monotonic() - began_s

    async def _verify(self) -> int:
        """Show the verdict, stop the emulator, and return the exit code.

        After Ctrl-C the time is limited, because the verification may have days of data to read. If the limit
        is exceeded, there is no verdict, and the exit code is that of success.
        """
        limit_s = max(0.0, _INTERRUPT_S - self._drain_s) if self._is_interrupted else None
        found = await self._verifier.verdict(limit_s) if self._verifier else None
        await self._supervisor.stop(("emulator",), _FLUSH_GRACE_S)
        if found is None:
            command = f"fleetprice verify --data {self._settings.data}"
            sys.stderr.write(f"fleetprice: drained, not verified within {limit_s:.0f} s: {command}\n")
            return EXIT_DONE
        code, verdict = found
        live = self._prices.latencies.since_start().percentiles_ms()
        self._view.show_verdict({**verdict, "live_latency_ms": live, "drain_s": round(self._drain_s, 2)})
        return code

    async def _show_status(self) -> None:
        due_s = time.monotonic()
        while True:
            due_s += STATUS_INTERVAL_S
            await asyncio.sleep(due_s - time.monotonic())
            self._view.show_status(self._status())
            self._prices.latencies.end_interval()

    def _status(self) -> Status:
        now_s, monitor, latencies = time.monotonic(), self._monitor, self._prices.latencies
        return Status(
            phase=self._phase,
            elapsed_s=round(now_s - self._started_s, 2),
            sent_per_s=round(monitor.sent.per_s(now_s), 1),
            landed_per_s=round(monitor.landed.per_s(now_s), 1),
            predicted_per_s=round(monitor.predicted.per_s(now_s), 1),
            lag=monitor.lag.end_interval(),
            latency_ms=latencies.recent().percentiles_ms(),
            latency_overall_ms=latencies.since_start().percentiles_ms(),
            newest=[make_price(one) for one in self._prices.newest],
            restarts=dict(self._supervisor.restarts),
        )


def _addresses(admin: str, ports: Ports) -> Addresses:
    return Addresses(
        admin=admin,
        scorer=f"http://{_HOST}:{ports.scorer}",
        ingest=f"http://{_HOST}:{ports.ingest_metrics}",
        simulator=f"http://{_HOST}:{ports.simulator_metrics}",
    )
