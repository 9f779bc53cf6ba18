"""`fleetprice bench`: figures of whole services, each beside a floor measured in the same run."""

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from services.cli.bench.embedded_azure import Cores, EmbeddedAzure, start_embedded_azure
from services.cli.bench.figure import Figure, compare_laps
from services.cli.bench.http.laps import HTTP_LOADS, measure_http
from services.cli.bench.hub_load import PARTITIONS, Load, round_batches
from services.cli.bench.ingest.laps import run_floor_lap, run_ingest_lap
from services.cli.bench.scorer.laps import SCORE_LOADS, measure_scoring
from services.cli.bench.scorer.latency import LATENCIES, measure_latency
from services.cli.bench.settings import BenchSettings
from shared.codec.body_decoder import ARROW, JSON, NDJSON
from shared.service.run import run_service

_HEADER = f"{'figure':<24}{'ours':>12}{'floor':>12}{'ratio':>8}  unit, cores"

# Content type, readings an event, events a batch, batches into each partition, and worker processes.
_LOADS = {
    "ingest_json": (JSON, 1, 2_500, 20, 1),
    "ingest_ndjson": (NDJSON, 200, 10, 80, 1),
    "ingest_arrow": (ARROW, 500, 4, 150, 1),
    "ingest_two_workers": (JSON, 1, 2_500, 40, 2),
}


async def serve(settings: BenchSettings, stop: asyncio.Event) -> None:
    """Measure and print one figure after another.

    Return after the last figure, or after the current one if `stop` is set.
    """
    names = settings.names()
    folder = Path(tempfile.mkdtemp(prefix="fleetprice-bench-"))
    try:
        async with start_embedded_azure(folder) as azure:
            if not settings.as_json:
                _print(_HEADER)
            async for one in _figures(azure, settings, names):
                _print(json.dumps(one.as_dict()) if settings.as_json else _row(one))
                if stop.is_set():
                    return
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _figures(azure: EmbeddedAzure, settings: BenchSettings, names: list[str]) -> AsyncIterator[Figure]:
    for name in names:
        if name in LATENCIES:
            for one in await measure_latency(azure, low_latency=LATENCIES[name]):
                yield one
            continue
        if name in SCORE_LOADS:
            yield await measure_scoring(azure, name, settings.rounds, settings.scale, settings.prefetch)
            continue
        if name in HTTP_LOADS:
            yield await measure_http(azure, name, settings.rounds, settings.scale)
            continue
        content_type, pack, events, batches, processes = _LOADS[name]
        min_batches = max(2, round(batches * settings.scale))
        load = Load(name, content_type, pack, events, round_batches(events * pack, min_batches))
        cores = Cores.split(processes)
        azure.emulator.pin(cores.serving)
        ours, floors = [], []
        for number in range(settings.rounds):
            hub = f"{name.replace('_', '-')}-{number}"
            async with azure.hub(hub, PARTITIONS):
                ours.append(await run_ingest_lap(azure, hub, load, settings.prefetch, processes))
                floors.append(await run_floor_lap(azure, hub, load, settings.prefetch, processes))
        yield compare_laps(
            name, ours, floors, processes, has_own_cores=cores.serving.isdisjoint(cores.measured)
        )


def _row(one: Figure) -> str:
    return f"{one.name:<24}{one.rate:>12,.0f}{one.floor:>12,.0f}{one.ratio:>8.0%}  {one.unit}, {one.cores}"


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the output of the command


def main(overrides: Mapping[str, Any] | None = None) -> int:
    """Run `fleetprice bench`, and return the exit code."""
    return run_service(BenchSettings, overrides, serve)


if __name__ == "__main__":
    sys.exit(main())
