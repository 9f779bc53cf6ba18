"""Our services as processes of their own, in the world of a test."""

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]


def environment_of(world, **variables):
    """What points a service here, balancing quickly, and has it log what `logged` reads."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "FLEETPRICE_EVENT_HUBS": world.hub.connection_string,
        "FLEETPRICE_STORAGE": world.storage.connection_string,
        "FLEETPRICE_BALANCING_INTERVAL_S": "0.3",
        "FLEETPRICE_OWNERSHIP_EXPIRY_S": "2",
        "FLEETPRICE_LOG_FORMAT": "json",
        "FLEETPRICE_FAILPOINTS_LOG": str(world.data_dir / "kills"),
        **variables,
    }


@asynccontextmanager
async def process(program, environment):
    """`python -m program`, its stderr kept; killed at the end if it still runs."""
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", program, env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
            await running.communicate()


async def logged(running, name):
    """The next log event of that name, of the process or of one that it started."""
    while line := await running.stderr.readline():
        event = msgspec.json.decode(line)
        if event["event"] == name:
            return event
    raise AssertionError(f"ended without {name}")


async def life(command, environment):
    """Runs Python with `command` until it dies; its exit code."""
    running = await asyncio.create_subprocess_exec(sys.executable, *command, env=environment)
    try:
        return await running.wait()
    finally:
        if running.returncode is None:
            running.terminate()
            await running.wait()
