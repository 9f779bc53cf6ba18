"""`fleetprice chaos`: run the stack under faults at seeded moments, and account for every reading."""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from services.cli.chaos.campaign import Campaign
from services.cli.chaos.event_log import Reporter
from services.cli.chaos.fork_client import ForkedProcesses
from services.cli.chaos.programs import Programs
from services.cli.chaos.run import Run, Unverified, Verdict
from services.cli.chaos.schedule import draw_shape
from services.cli.chaos.settings import ChaosSettings
from services.cli.chaos.stack import Stack
from shared.service.data_dir import lock_data_dir
from shared.service.errors import NeedsAttention
from shared.service.processes.supervisor import KeepsFailing, Supervisor
from shared.service.run import EXIT_DONE, EXIT_FOUND_WRONG, run_service
from shared.service.tasks import first_completed


async def serve(settings: ChaosSettings, stop: asyncio.Event) -> int:
    """Run one chaos run or a campaign. Return exit code 0 if all runs are clean, otherwise 1.

    Raises NeedsAttention (exit code 2) if a person must act, for example after a stop before the verdict.
    """
    return await (_run_many if settings.schedules > 1 else _run_one)(settings, stop)


async def _run_one(settings: ChaosSettings, stop: asyncio.Event) -> int:
    data = _directory(settings)
    verdict, is_over = None, False
    try:
        verdict = await _run(settings, data, stop)
        is_over = verdict is None  # stopped: there is nothing to inspect
    except (KeepsFailing, Unverified) as error:
        sys.stderr.write(f"fleetprice: {error}\n")
        return EXIT_FOUND_WRONG
    finally:
        if settings.data is None and (is_over or (verdict is not None and verdict.is_clean)):
            shutil.rmtree(data)
    if verdict is None:
        raise NeedsAttention("stopped before the end: there is no verdict")
    if not verdict.is_clean:
        sys.stderr.write(
            f"fleetprice: something is wrong, everything is in {data}; {_rerun_hint(settings)}\n"
        )
    Reporter.write_line(msgspec.json.encode(verdict).decode())
    return EXIT_DONE if verdict.is_clean else EXIT_FOUND_WRONG


async def _run(settings: ChaosSettings, data: Path, stop: asyncio.Event) -> Verdict | None:
    with lock_data_dir(data, "chaos"):
        if (data / "simulator").exists():
            raise NeedsAttention(f"{data} holds another run's data: choose another with --data")
        (data / "logs").mkdir(exist_ok=True)
        programs = Programs(settings, draw_shape(settings.seed), data, os.environ)
        async with (
            aiohttp.ClientSession() as session,
            ForkedProcesses() as processes,
            Supervisor(processes.start) as supervisor,
        ):
            stack = Stack(programs, data, supervisor, session)
            reporter = Reporter(as_json=settings.as_json)
            return await Run(settings, data, stack, reporter.report).run(stop)


async def _run_many(settings: ChaosSettings, stop: asyncio.Event) -> int:
    if settings.data is not None:
        raise NeedsAttention("--data is for one run: leave it out with --schedules")
    with tempfile.TemporaryDirectory(prefix="fleetprice-chaos-logs-") as logs:
        campaign = Campaign(settings, Path(logs), Reporter(as_json=settings.as_json).report)
        await first_completed(campaign.run(), stop.wait())
    Reporter.write_line(campaign.total.as_json())
    if stop.is_set():
        raise NeedsAttention("stopped before the end")
    return EXIT_DONE if campaign.is_clean else EXIT_FOUND_WRONG


def _directory(settings: ChaosSettings) -> Path:
    if settings.data is not None:
        return settings.data.absolute()
    return Path(tempfile.mkdtemp(prefix=f"fleetprice-chaos-{settings.seed}-"))


def _rerun_hint(settings: ChaosSettings) -> str:
    return f"again: fleetprice chaos --seed {settings.seed} --seconds {settings.seconds:g}"


def main(overrides: Mapping[str, Any] | None = None) -> int:
    """Run `fleetprice chaos` until its verdict, and return the exit code."""
    return run_service(ChaosSettings, overrides, serve)


if __name__ == "__main__":
    sys.exit(main())
