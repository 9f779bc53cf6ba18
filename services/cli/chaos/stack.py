"""The stack of a run: its processes, the emulator's admin listener, and the positions of its readers."""

import asyncio
import json
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob.aio import BlobServiceClient

from services.cli.chaos.programs import CONTAINERS, GROUPS, SHARED_CHECKPOINTS, Programs
from services.cli.chaos.service_logs import count
from shared.service.processes.free_ports import free_ports
from shared.service.processes.supervisor import SupervisedProcess, Supervisor

TELEMETRY, PREDICTIONS = "telemetry", "predictions"
_PARTITIONS = 4
_LISTENERS = ("event_hubs", "storage", "admin")
_POLL_S = 0.2
_TO_THE_HOUR = len("2026-09-20T14")
_ADMIN_LIMIT = aiohttp.ClientTimeout(total=3.0)
_FLUSH_S = 15.0
_STARTS_WITHIN_S = 60.0
UNREACHABLE = (aiohttp.ClientError, TimeoutError, OSError)


class Stack:
    """Processes that `start` starts and `supervisor` restarts."""

    def __init__(
        self, programs: Programs, data: Path, supervisor: Supervisor, session: aiohttp.ClientSession
    ) -> None:
        self.programs = programs
        self.data = data
        self.supervisor = supervisor
        self.writers: list[SupervisedProcess] = []
        self.scorers: list[SupervisedProcess] = []
        self.joiners = 0
        self.compactions = 0
        self.ready: dict[str, str] = {}
        self._session = session
        self._fleets: list[str] = []
        self._holding: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.emulator: SupervisedProcess
        self.straggler: SupervisedProcess

    async def start(self) -> None:
        """Start the emulator and all readers, and wait until the writers have opened their partitions."""
        ports = dict(zip(_LISTENERS, free_ports(len(_LISTENERS)), strict=True))
        self.emulator = self.supervisor.start(self.programs.emulator(ports))
        self.ready = json.loads(await self.emulator.first_line)
        self.programs.connect(self.ready["event_hubs"], self.ready["storage"])
        for hub in (TELEMETRY, PREDICTIONS):
            await self.admin(
                "PUT", f"/hubs/{hub}", {"partition_count": _PARTITIONS, "consumer_groups": GROUPS}
            )
        await self._create_containers()
        self.writers = [self.supervisor.start(program) for program in self.programs.writers()]
        self.straggler = self.supervisor.start(self.programs.straggler())
        self.scorers = [self.supervisor.start(program) for program in self.programs.scorers()]
        # The scorers open theirs while the fleet starts.
        await _wait_for_log((*self.writers, self.straggler), "partition_opened")

    async def start_fleet(self, number: int, seconds: float) -> SupervisedProcess:
        """Have the fleet of this number send for `seconds` from now on."""
        program = self.programs.fleet(number, seconds)
        fleet = self.supervisor.start(program)
        self._fleets.append(program.name)
        await _wait_for_log([fleet], "fleet_started")
        return fleet

    async def stop_fleets(self) -> None:
        """Stop the fleets that still send, after the send under way."""
        await self.supervisor.stop(self._fleets, _FLUSH_S)

    async def admin(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Return the admin listener's answer. Raises one of UNREACHABLE while it does not answer."""
        url = f"{self.ready['admin']}{path}"
        async with self._session.request(method, url, json=body, timeout=_ADMIN_LIMIT) as answer:
            text = await answer.text()
            if not answer.ok:
                raise AssertionError(f"{method} {path} {body}: {answer.status} {text}")
            return json.loads(text) if text else None

    async def wait_for_emulator(self) -> None:
        """Return once the emulator answers."""
        while True:
            with suppress(*UNREACHABLE):
                await self.admin("GET", "/health")
                return
            await asyncio.sleep(_POLL_S)

    async def ends(self, hub: str) -> dict[int, int]:
        """Return the last sequence number of each partition; -1 for an empty one."""
        return await self._read_partitions(hub, "last_enqueued_sequence_number")

    async def begins(self, hub: str) -> dict[int, int]:
        """Return the oldest sequence number that each partition retains."""
        return await self._read_partitions(hub, "begin_sequence_number")

    async def newest_hour(self, hub: str) -> str:
        """Return the hour of the latest event, as text that sorts by time; empty for an empty hub."""
        times = await self._read_partitions(hub, "last_enqueued_time")
        return max((time[:_TO_THE_HOUR] for time in times.values() if time), default="")

    async def _read_partitions(self, hub: str, name: str) -> dict[int, Any]:
        partitions = (await self.admin("GET", f"/hubs/{hub}"))["partitions"]
        return {int(one["id"]): one[name] for one in partitions}

    @asynccontextmanager
    async def hold(self, victim: SupervisedProcess) -> AsyncIterator[bool]:
        """Stop it (SIGSTOP) for the block, one holder at a time; yield False if it was not running."""
        async with self._holding[victim.program.name]:
            is_held = victim.send(signal.SIGSTOP)
            try:
                yield is_held
            finally:
                victim.send(signal.SIGCONT)

    def is_held(self, victim: SupervisedProcess) -> bool:
        """Return whether it is held just now."""
        return self._holding[victim.program.name].locked()

    async def scored_through(self) -> dict[int, int]:
        """Return the last telemetry event of each partition that is priced, by the checkpoints."""
        scored: dict[int, int] = {}
        async with BlobServiceClient.from_connection_string(self.ready["storage"], retry_total=0) as service:
            container = service.get_container_client(SHARED_CHECKPOINTS)
            async for blob in container.list_blobs(include=["metadata"]):
                *place, partition = blob.name.split("/")[-4:]
                if place == [TELEMETRY, "scorer", "checkpoint"]:
                    scored[int(partition)] = int(blob.metadata["sequencenumber"])
        return scored

    async def stop_scorers(self) -> None:
        """Drain the scorers: the predictions hub no longer grows, not even by a zombie's doubles."""
        await self.supervisor.stop([one.program.name for one in self.scorers], _FLUSH_S)

    async def stop(self) -> None:
        """Stop everything, readers first: each commits what it holds and releases its partitions."""
        names = [one.program.name for one in (*self.writers, self.straggler, *self.scorers)]
        await self.supervisor.stop(names, _FLUSH_S)
        await self.supervisor.stop((self.emulator.program.name,), _FLUSH_S)

    async def _create_containers(self) -> None:
        async with BlobServiceClient.from_connection_string(self.ready["storage"], retry_total=0) as service:
            for name in CONTAINERS:
                with suppress(ResourceExistsError):
                    await service.create_container(name)


async def _wait_for_log(services: Iterable[SupervisedProcess], event: str) -> None:
    """Return once each has logged this event, or after a limit."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_STARTS_WITHIN_S):
            while not all(count(one.program.log, event) for one in services):  # noqa: ASYNC110 - other processes' logs
                await asyncio.sleep(_POLL_S)
