"""The emulator in a separate process, and clients beside it, with the CPU time that each client costs it."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.cli.bench.measured_process import MeasuredProcess, Usage
from shared.service.processes.process import EndedEarly, Process, Program

_MB = 2**20


@dataclass(frozen=True, slots=True)
class Run:
    """The result of one client.

    `events` took the client `took_s` seconds by the clock, and the emulator `hub_cpu_s` seconds of CPU time.
    """

    events: int
    took_s: float
    first_s: float
    hub_cpu_s: float

    @property
    def rate(self) -> float:
        return self.events / self.took_s

    @property
    def hub_us(self) -> float:
        """Return the emulator's processor time for each event, in microseconds."""
        return self.hub_cpu_s / self.events * 1e6


@dataclass(frozen=True, slots=True)
class HubProcess:
    """A running `python -m services.emulator`, which was ready after `ready_s` seconds."""

    process: MeasuredProcess
    connection: str
    ready_s: float

    @property
    def port(self) -> int:
        return int(self.connection.split(";")[0].rsplit(":", 1)[1].rstrip("/"))

    def usage(self) -> Usage:
        return self.process.usage()

    @property
    def resident_mb(self) -> float:
        return self.usage().resident_bytes / _MB

    async def run_client(self, module: str, work: str, **arguments: object) -> Run:
        """Run a client module of `services.cli.bench.micro` to its end.

        Raises EndedEarly if the client fails or prints no result.
        """
        flags = [f"--{name}={value}" for name, value in arguments.items() if value is not True]
        flags += [f"--{name}" for name, value in arguments.items() if value is True]
        program = Program(
            module,
            f"services.cli.bench.micro.{module}",
            os.environ,
            arguments=(work, *flags),
            pipes_stdout=True,
        )
        client = await Process.start(program, stdin=asyncio.subprocess.PIPE)
        try:
            await client.read_line()  # it is connected
            before_s = self.usage().cpu_s
            client.write(b"go\n")
            line = await client.read_line()
            cpu_s = self.usage().cpu_s - before_s
        finally:
            client.end_input()
            code = await client.wait()
        if code or not line:
            raise EndedEarly(f"{module} {work} ended with exit code {code}")
        result: dict[str, Any] = json.loads(line)
        return Run(result["events"], result["took_s"], result.get("first_s", 0.0), cpu_s)


@asynccontextmanager
async def run_hub(data: Path, *arguments: str) -> AsyncIterator[HubProcess]:
    """Run the emulator with its data in `data`; its log is in the same parent folder."""
    flags = ("--json", "--port-base", "0", "--data", str(data), *arguments)
    started_s = time.perf_counter()
    async with MeasuredProcess("services.emulator", flags, {}, data.parent / "emulator.log") as process:
        ready = await process.read_event("ready")
        yield HubProcess(process, ready["event_hubs"], time.perf_counter() - started_s)
