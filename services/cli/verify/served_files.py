"""Serves the hubs and the lake of a data directory on free ports while they are read."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from shared.service.errors import NeedsAttention
from shared.service.local_stack import StackAddresses, read_running_stack
from shared.service.processes.process import EndedEarly, Process, Program, last_error
from shared.service.settings import PREFIX

_READY_WITHIN_S = 30.0
_END_WITHIN_S = 10.0


@asynccontextmanager
async def serve_files(data: Path) -> AsyncIterator[StackAddresses]:
    """Run an emulator on the directory `data` in a child process until the block ends.

    Raises NeedsAttention if there are no hubs in `data`, or, with the emulator's last error, if it does not
    start.
    """
    if not (data / "event_hubs").is_dir():
        raise NeedsAttention(f"there is nothing to verify in {data}: name the directory of `up` with --data")
    arguments = ("--data", str(data), "--port-base", "0", "--json")
    with tempfile.TemporaryDirectory(prefix="fleetprice-verify-") as folder:
        log = Path(folder) / "emulator.log"
        program = Program("emulator", "services.emulator", _environment(), log, arguments, pipes_stdout=True)
        emulator = await Process.start(program)
        try:
            await _wait_until_ready(emulator)
            yield read_running_stack(data)
        finally:
            await emulator.stop(_END_WITHIN_S)


async def _wait_until_ready(emulator: Process) -> None:
    try:
        async with asyncio.timeout(_READY_WITHIN_S):
            await emulator.read_event("ready")
    except (TimeoutError, EndedEarly, ValueError) as error:
        emulator.kill()
        await emulator.wait()
        reason = last_error(emulator.program.log) or "it did not say why"
        raise NeedsAttention(f"the files cannot be served: {reason}") from error


def _environment() -> dict[str, str]:
    """Return the environment of this process without failpoints, and with the log level `error`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(f"{PREFIX}FAILPOINTS")}
    return {**kept, f"{PREFIX}LOG_LEVEL": "error"}
