"""The emulator in a process of its own, and clients beside it, with what each costs."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Run:
    """What one client did: its events, by the clock, and the emulator's own time for them."""

    events: int
    took_s: float
    first_s: float
    hub_cpu_s: float

    @property
    def rate(self) -> float:
        return self.events / self.took_s

    @property
    def hub_us(self) -> float:
        """The emulator's processor time for each event, microseconds."""
        return self.hub_cpu_s / self.events * 1e6


class HubProcess:
    """`python -m services.emulator` on a directory."""

    def __init__(self, data: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "services.emulator", "--json", "--port-base", "0"]
        started_s = time.perf_counter()
        with (data.parent / "emulator.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--data", str(data), *arguments], stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        self.connection: str = json.loads(self.process.stdout.readline())["event_hubs"]
        self.ready_s = time.perf_counter() - started_s
        self.port = int(self.connection.split(";")[0].rsplit(":", 1)[1].rstrip("/"))

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def resident_mb(self, field: str = "VmRSS") -> float:
        """What it holds in memory now, or (`VmHWM`) has held at most."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024

    def client(self, module: str, work: str, **arguments: object) -> Run:
        """Run `python -m bench.<module>` to its end. Raises CalledProcessError."""
        flags = [f"--{name}={value}" for name, value in arguments.items() if value is not True]
        flags += [f"--{name}" for name, value in arguments.items() if value is True]
        command = [sys.executable, "-m", f"bench.{module}", work, *flags]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            client.stdout.readline()
            before_s = self.cpu_s()
            out, _ = client.communicate("go\n")
            cpu_s = self.cpu_s() - before_s
        if client.returncode:
            raise subprocess.CalledProcessError(client.returncode, command)
        said: dict[str, Any] = json.loads(out)
        return Run(said["events"], said["took_s"], said.get("first_s", 0.0), cpu_s)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate()


@contextlib.contextmanager
def running(data: Path, *arguments: str) -> Iterator[HubProcess]:
    hub = HubProcess(data, *arguments)
    try:
        yield hub
    finally:
        hub.stop()
