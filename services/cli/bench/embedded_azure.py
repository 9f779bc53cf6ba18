"""The emulator that a benchmark runs against, in a separate process."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from azure.storage.filedatalake.aio import DataLakeServiceClient

from services.cli.bench.measured_process import MeasuredProcess
from shared.service.local_stack import read_running_stack


@dataclass(frozen=True, slots=True)
class Cores:
    """The cores for the measured process, and the cores for the servers and clients beside it."""

    measured: frozenset[int]
    serving: frozenset[int]

    @classmethod
    def split(cls, measured: int) -> "Cores":
        """Reserve the first `measured` cores for the measured process.

        The servers and clients get the remaining cores; if none remain, they share all cores.
        """
        available = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        rest = frozenset(available[measured:]) or frozenset(available)
        return cls(frozenset(available[:measured]), rest)


@dataclass(frozen=True, slots=True)
class EmbeddedAzure:
    """A running emulator: its addresses and process, and the folder for all files that are written."""

    event_hubs: str
    storage: str
    admin: str
    folder: Path
    emulator: MeasuredProcess

    def variables(self, **values: object) -> Mapping[str, str]:
        """Return the environment variables of a process that uses this emulator.

        `values` are further settings, named without the prefix FLEETPRICE_.
        """
        named = {"EVENT_HUBS": self.event_hubs, "STORAGE": self.storage, "LOG_FORMAT": "json", **values}
        return {f"FLEETPRICE_{name}": str(value) for name, value in named.items()}

    @asynccontextmanager
    async def hub(self, name: str, partitions: int) -> AsyncIterator[None]:
        """Create a hub, and delete it after the block."""
        url = f"{self.admin}/hubs/{name}"
        async with aiohttp.ClientSession(raise_for_status=True) as http:
            await (await http.put(url, json={"partition_count": partitions})).read()
            yield
            await (await http.delete(url)).read()

    @asynccontextmanager
    async def file_system(self, name: str) -> AsyncIterator[None]:
        """Create a file system, and delete it after the block."""
        async with DataLakeServiceClient.from_connection_string(self.storage) as service:
            await service.create_file_system(name)
            yield
            await service.delete_file_system(name)


@asynccontextmanager
async def start_embedded_azure(folder: Path) -> AsyncIterator[EmbeddedAzure]:
    """Run the emulator on free ports; its data and log are under `folder`."""
    arguments = ["emulator", "--data", str(folder / "data"), "--port-base", "0", "--json"]
    async with MeasuredProcess("services.cli", arguments, {}, folder / "emulator.log") as emulator:
        await emulator.read_event("ready")
        stack = read_running_stack(folder / "data")
        yield EmbeddedAzure(stack.event_hubs, stack.storage, stack.admin, folder, emulator)
