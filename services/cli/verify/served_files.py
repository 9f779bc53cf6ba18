"""A data directory's own hubs and lake, served on free ports while they are read."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from shared.service.errors import NeedsAttention
from shared.service.local_stack import StackAddresses
from shared.service.settings import PREFIX

_READY_WITHIN_S = 30.0
_END_WITHIN_S = 10.0


@asynccontextmanager
async def served_files(data: Path) -> AsyncIterator[StackAddresses]:
    """Run an emulator on `data` in a process of its own, which ends with this one.

    Raises NeedsAttention with the emulator's own words where it does not start.
    """
    if not (data / "event_hubs").is_dir():
        raise NeedsAttention(f"there is nothing to verify in {data}: name the directory of `up` with --data")
    command = (sys.executable, "-m", "services.emulator", "--data", str(data), "--port-base", "0", "--json")
    emulator = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=_environment()
    )
    try:
        yield await _ready(emulator)
    finally:
        _signal(emulator, signal.SIGTERM)
        try:
            await asyncio.wait_for(emulator.communicate(), _END_WITHIN_S)
        except TimeoutError:
            _signal(emulator, signal.SIGKILL)
            await emulator.communicate()


async def _ready(emulator: asyncio.subprocess.Process) -> StackAddresses:
    if emulator.stdout is None or emulator.stderr is None:
        raise ValueError("the emulator was started without pipes")
    try:
        line = await asyncio.wait_for(emulator.stdout.readline(), _READY_WITHIN_S)
        return msgspec.json.decode(line, type=StackAddresses)
    except (TimeoutError, msgspec.MsgspecError) as error:
        _signal(emulator, signal.SIGKILL)
        words = (await emulator.stderr.read()).decode(errors="replace").strip().splitlines()
        said = words[-1].removeprefix("fleetprice: ") if words else "it did not say why"
        raise NeedsAttention(f"the files cannot be served: {said}") from error


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.send_signal(number)


def _environment() -> dict[str, str]:
    """As it is here, without faults on purpose."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(f"{PREFIX}FAILPOINTS")}
    return {**kept, f"{PREFIX}PARENT_PID": str(os.getpid()), f"{PREFIX}LOG_LEVEL": "error"}
