"""`fleetprice chaos`: the whole stack under faults at seeded moments, and what became of every reading."""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from services.chaos.programs import Programs
from services.chaos.run import Run, Unverified, Verdict
from services.chaos.schedule import shape
from services.chaos.settings import ChaosSettings
from services.chaos.world import World
from shared.data_dir import occupied
from shared.errors import NeedsAttention
from shared.processes.supervisor import KeepsFailing, Supervisor
from shared.run import EXIT_DONE, EXIT_FOUND_WRONG, run_service, say_and_refuse
from shared.settings import read_settings


async def serve(settings: ChaosSettings, stop: asyncio.Event) -> int:
    """One run; the exit code: 0 nothing lost or doubled, 1 something is, 2 a person must act."""
    data = _directory(settings)
    try:
        verdict = await _run(settings, data, stop)
    except (KeepsFailing, Unverified) as error:
        sys.stderr.write(f"fleetprice: {error}\n")
        return EXIT_FOUND_WRONG
    if verdict is None:
        raise NeedsAttention("stopped before the end: there is no verdict")
    if verdict.is_clean and settings.data is None:
        shutil.rmtree(data)
    elif not verdict.is_clean:
        sys.stderr.write(f"fleetprice: something is wrong, everything is in {data}; {_again(settings)}\n")
    _say(msgspec.json.encode(verdict).decode())
    return EXIT_DONE if verdict.is_clean else EXIT_FOUND_WRONG


async def _run(settings: ChaosSettings, data: Path, stop: asyncio.Event) -> Verdict | None:
    with occupied(data, "chaos"):
        if (data / "simulator").exists():
            raise NeedsAttention(f"{data} holds another run's data: choose another with --data")
        (data / "logs").mkdir(exist_ok=True)
        programs = Programs(settings, shape(settings.seed), data, os.environ)
        async with aiohttp.ClientSession() as session, Supervisor() as supervisor:
            world = World(programs, data, supervisor, session)
            return await Run(settings, data, world, _teller(settings)).run(stop)


def _directory(settings: ChaosSettings) -> Path:
    if settings.data is not None:
        return settings.data.absolute()
    return Path(tempfile.mkdtemp(prefix=f"fleetprice-chaos-{settings.seed}-"))


def _teller(settings: ChaosSettings) -> Any:
    def as_json(event: Mapping[str, Any]) -> None:
        _say(msgspec.json.encode(event).decode())

    def as_text(event: Mapping[str, Any]) -> None:
        _say("  ".join(f"{name} {value}" for name, value in event.items() if name != "event"))

    return as_json if settings.as_json else as_text


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _again(settings: ChaosSettings) -> str:
    return f"again: fleetprice chaos --seed {settings.seed} --seconds {settings.seconds:g}"


def main(overrides: Mapping[str, Any] | None = None) -> int:
    """Run until the verdict; the exit code."""
    try:
        settings = read_settings(ChaosSettings, overrides)
    except NeedsAttention as error:
        return say_and_refuse(error)
    return run_service("chaos", settings, partial(serve, settings))


if __name__ == "__main__":
    sys.exit(main())
