"""Serves the hubs and the lake of a data directory on free ports while they are read."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from shared.service.errors import NeedsAttention
from shared.service.local_stack import StackAddresses
from shared.service.processes.process import Process, Program, last_error
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
            yield await _read_ready(emulator)
        finally:
            await emulator.stop(_END_WITHIN_S)


async def _read_ready(emulator: Process) -> StackAddresses:
    try:
        async with asyncio.timeout(_READY_WITHIN_S):
            line = await emulator.read_line()
        return msgspec.json.decode(line, type=StackAddresses)
    except (TimeoutError, msgspec.MsgspecError) as error:
        emulator.kill()
        await emulator.wait()
        reason = last_error(emulator.program.log) or "it did not say why"
        raise NeedsAttention(f"the files cannot be served: {reason}") from error


def _environment() -> dict[str, str]:
    """Return the environment of this process without failpoints, and with the log level `error`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(f"{PREFIX}FAILPOINTS")}
    return {**kept, f"{PREFIX}LOG_LEVEL": "error"}
