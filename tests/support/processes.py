"""Our services as processes of their own, connected to a test's servers."""

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]


def environment_of(world, **variables):
    """Return the environment of a service that uses these servers, balances quickly and logs JSON."""
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


def environment_with_only(**settings):
    """Return the environment with these FLEETPRICE_ settings and no others."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FLEETPRICE_")}
    return {**inherited, **{f"FLEETPRICE_{name}": str(value) for name, value in settings.items()}}


async def start_python(*arguments, environment, stdin=None, stdout=None, stderr=None):
    """Start Python with these arguments; asyncio's own process, of which a test reads the pipes."""
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=environment, stdin=stdin, stdout=stdout, stderr=stderr
    )


@asynccontextmanager
async def process(program, environment):
    """Run `python -m program` with a pipe for stderr; it is killed at the end if it still runs."""
    running = await start_python("-m", program, environment=environment, stderr=asyncio.subprocess.PIPE)
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
            await running.communicate()


async def read_log_event(running, name):
    """Return the next log event of this name, of the process or of one that it started."""
    while line := await running.stderr.readline():
        event = msgspec.json.decode(line)
        if event["event"] == name:
            return event
    raise AssertionError(f"ended without {name}")


async def run_python(command, environment):
    """Run Python with `command` until it ends, and return its exit code."""
    running = await start_python(*command, environment=environment)
    try:
        return await running.wait()
    finally:
        if running.returncode is None:
            running.terminate()
            await running.wait()
