"""The embedded Azure that a benchmark runs against: a process of its own, on cores of its own."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from azure.storage.filedatalake.aio import DataLakeServiceClient

from services.cli.bench.measured_process import Program


@dataclass(frozen=True, slots=True)
class Cores:
    """Those of this machine that are measured, and those that serve."""

    measured: frozenset[int]
    serving: frozenset[int]

    @classmethod
    def of(cls, measured: int) -> "Cores":
        """The first `measured` for what is measured; where none are left, serving shares them all."""
        able = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        rest = frozenset(able[measured:]) or frozenset(able)
        return cls(frozenset(able[:measured]), rest)


@dataclass(frozen=True, slots=True)
class World:
    """Where the servers are, and the folder for everything written."""

    event_hubs: str
    storage: str
    admin: str
    folder: Path
    program: Program

    def variables(self, **values: object) -> Mapping[str, str]:
        """The environment of a process in this world; `values` are settings without the prefix."""
        named = {"EVENT_HUBS": self.event_hubs, "STORAGE": self.storage, "LOG_FORMAT": "json", **values}
        return {f"FLEETPRICE_{name}": str(value) for name, value in named.items()}

    @asynccontextmanager
    async def hub(self, name: str, partitions: int) -> AsyncIterator[None]:
        """A hub that is there for the block."""
        url = f"{self.admin}/hubs/{name}"
        async with aiohttp.ClientSession(raise_for_status=True) as http:
            await (await http.put(url, json={"partition_count": partitions})).read()
            yield
            await (await http.delete(url)).read()

    @asynccontextmanager
    async def file_system(self, name: str) -> AsyncIterator[None]:
        """A file system that is there for the block."""
        async with DataLakeServiceClient.from_connection_string(self.storage) as service:
            await service.create_file_system(name)
            yield
            await service.delete_file_system(name)


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[World]:
    """Start the servers on free ports; everything they keep is under `folder`."""
    arguments = ["emulator", "--data", str(folder / "world"), "--port-base", "0", "--json"]
    async with Program("services.cli", arguments, {}, folder / "emulator.log") as program:
        ready = await program.told("ready")
        yield World(ready["event_hubs"], ready["storage"], ready["admin"], folder, program)
