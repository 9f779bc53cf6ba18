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
from shared.service.local_stack import read_running_stack
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
    """The processes of a run, which `start` starts and `supervisor` restarts."""

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
        """Start the emulator and all readers.

        Wait until the writers have opened partitions, or until a time limit has passed.
        """
        ports = dict(zip(_LISTENERS, free_ports(len(_LISTENERS)), strict=True))
        self.emulator = self.supervisor.start(self.programs.emulator(ports))
        self.ready = json.loads(await self.emulator.first_line)
        stack = read_running_stack(Path(self.ready["data"]))  # with the keys, which `ready` may not show
        self.ready |= {"event_hubs": stack.event_hubs, "storage": stack.storage}
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
        """Start fleet `number`, which sends for `seconds`, and return its process once it has started."""
        program = self.programs.fleet(number, seconds)
        fleet = self.supervisor.start(program)
        self._fleets.append(program.name)
        await _wait_for_log([fleet], "fleet_started")
        return fleet

    async def stop_fleets(self) -> None:
        """Stop the fleets that are still sending, after their current sends."""
        await self.supervisor.stop(self._fleets, _FLUSH_S)

    async def admin(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Send a request to the emulator's admin listener, and return the decoded answer.

        Raises one of UNREACHABLE if the listener does not answer.
        Raises AssertionError if the answer is an error.
        """
        url = f"{self.ready['admin']}{path}"
        async with self._session.request(method, url, json=body, timeout=_ADMIN_LIMIT) as answer:
            text = await answer.text()
            if not answer.ok:
                raise AssertionError(f"{method} {path} {body}: {answer.status} {text}")
            return json.loads(text) if text else None

    async def wait_for_emulator(self) -> None:
        """Wait until the emulator answers."""
        while True:
            with suppress(*UNREACHABLE):
                await self.admin("GET", "/health")
                return
            await asyncio.sleep(_POLL_S)

    async def ends(self, hub: str) -> dict[int, int]:
        """Return the last sequence number of each partition; -1 if the partition is empty."""
        return await self._read_partitions(hub, "last_enqueued_sequence_number")

    async def begins(self, hub: str) -> dict[int, int]:
        """Return the oldest retained sequence number of each partition."""
        return await self._read_partitions(hub, "begin_sequence_number")

    async def newest_hour(self, hub: str) -> str:
        """Return the hour of the latest event as text that sorts by time; empty if the hub is empty."""
        times = await self._read_partitions(hub, "last_enqueued_time")
        return max((time[:_TO_THE_HOUR] for time in times.values() if time), default="")

    async def _read_partitions(self, hub: str, name: str) -> dict[int, Any]:
        partitions = (await self.admin("GET", f"/hubs/{hub}"))["partitions"]
        return {int(one["id"]): one[name] for one in partitions}

    @asynccontextmanager
    async def hold(self, victim: SupervisedProcess) -> AsyncIterator[bool]:
        """Stop a process (SIGSTOP) during the block; only one block at a time can hold the same process.

        Yield False if the process was not running.
        """
        async with self._holding[victim.program.name]:
            is_held = victim.send(signal.SIGSTOP)
            try:
                yield is_held
            finally:
                victim.send(signal.SIGCONT)

    def is_held(self, victim: SupervisedProcess) -> bool:
        """Return whether a `hold` block holds the process now."""
        return self._holding[victim.program.name].locked()

    async def scored_through(self) -> dict[int, int]:
        """Return, by partition, the last priced telemetry event, according to the scorers' checkpoints."""
        scored: dict[int, int] = {}
        async with BlobServiceClient.from_connection_string(self.ready["storage"], retry_total=0) as service:
            container = service.get_container_client(SHARED_CHECKPOINTS)
            async for blob in container.list_blobs(include=["metadata"]):
                *place, partition = blob.name.split("/")[-4:]
                if place == [TELEMETRY, "scorer", "checkpoint"]:
                    scored[int(partition)] = int(blob.metadata["sequencenumber"])
        return scored

    async def stop_scorers(self) -> None:
        """Stop the scorers with a drain.

        After that the predictions hub no longer grows, not even by duplicates from a zombie.
        """
        await self.supervisor.stop([one.program.name for one in self.scorers], _FLUSH_S)

    async def stop(self) -> None:
        """Stop the readers, then the emulator.

        Each reader first commits what it holds and releases its partitions.
        """
        names = [one.program.name for one in (*self.writers, self.straggler, *self.scorers)]
        await self.supervisor.stop(names, _FLUSH_S)
        await self.supervisor.stop((self.emulator.program.name,), _FLUSH_S)

    async def _create_containers(self) -> None:
        async with BlobServiceClient.from_connection_string(self.ready["storage"], retry_total=0) as service:
            for name in CONTAINERS:
                with suppress(ResourceExistsError):
                    await service.create_container(name)


async def _wait_for_log(services: Iterable[SupervisedProcess], event: str) -> None:
    """Wait until each service has logged this event, or until a time limit has passed."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_STARTS_WITHIN_S):
            while not all(count(one.program.log, event) for one in services):  # noqa: ASYNC110 - other processes' logs
                await asyncio.sleep(_POLL_S)
