"""The scorer from hub to hub, beside its floor.

The floor of `score_arrow` is the bare model. The floor of `score_json` is the bare SDK, which receives and
sends as many events as the scorer. All rates are per second of processor time of the measured process. The
hub, the storage and the benchmark's reader share the remaining cores of the machine; on two cores, a rate by
the clock would measure them too.
"""

import signal
import statistics
import time
from dataclasses import dataclass

from services.cli.bench.embedded_azure import Cores, EmbeddedAzure
from services.cli.bench.figure import Figure, Lap
from services.cli.bench.hub_load import PARTITIONS, Load, fill
from services.cli.bench.ingest.laps import wait_until_settled
from services.cli.bench.measured_process import MeasuredProcess
from services.cli.bench.scorer.published import watch_published
from shared.codec.body_decoder import ARROW, JSON

SCORE_LOADS = {
    "score_arrow": (ARROW, 500, 4, 60),
    "score_json": (JSON, 1, 2_500, 12),
}
_UNIT = "readings/CPU s"


@dataclass(frozen=True, slots=True)
class ScoreLap:
    """A lap of the scorer, and the size of its output; the bare SDK then sends output of the same size."""

    lap: Lap
    outputs_a_partition: int
    output_bytes: int


async def measure_scoring(
    azure: EmbeddedAzure, name: str, rounds: int, scale: float, prefetch: int
) -> Figure:
    """Measure laps of the scorer and of its floor in turn, and compare the median rates."""
    content_type, pack, events, batches = SCORE_LOADS[name]
    load = Load(name, content_type, pack, events, max(1, round(batches * scale)))
    azure.emulator.pin(Cores.split(1).serving)
    ours, floors = [], []
    for number in range(rounds):
        hub, output = f"{name.replace('_', '-')}-{number}", f"{name.replace('_', '-')}-{number}-out"
        async with azure.hub(hub, PARTITIONS), azure.hub(output, PARTITIONS):
            lap = await _score_lap(azure, hub, output, load, prefetch)
            ours.append(lap.lap.cpu_rate)
            floors.append(
                await _model_lap(azure)
                if content_type == ARROW
                else await _loop_lap(azure, hub, load, lap, prefetch)
            )
    rate, floor = statistics.median(ours), statistics.median(floors)
    return Figure(name, rate, floor, rate / floor, _UNIT, 1, rate, floor)


async def _score_lap(azure: EmbeddedAzure, hub: str, output: str, load: Load, prefetch: int) -> ScoreLap:
    """Measure the unchanged `python -m services.scorer` from hub to hub."""
    file_system = f"bench-{hub}"
    variables = azure.variables(
        FILE_SYSTEM=file_system,
        TELEMETRY_HUB=hub,
        PREDICTIONS_HUB=output,
        BALANCING_INTERVAL_S=2,
        SCORER_HTTP="false",
        SCORER_PREFETCH=prefetch,
    )
    log = azure.folder / f"{hub}.log"
    async with (
        azure.file_system(file_system),
        MeasuredProcess("services.scorer", [], variables, log, Cores.split(1).measured) as program,
        watch_published(azure.event_hubs, output, load.events_a_partition - 1) as published,
    ):
        await wait_until_settled(program)
        program.send(signal.SIGSTOP)
        await fill(azure.event_hubs, hub, load)
        before, started_s = program.usage(), time.time()
        program.send(signal.SIGCONT)
        await published.wait_until_complete()
        lap = Lap(load.readings, published.last_enqueued_s - started_s, program.usage().cpu_s - before.cpu_s)
        return ScoreLap(lap, round(published.events / PARTITIONS), published.size_bytes // published.events)


async def _model_lap(azure: EmbeddedAzure) -> float:
    log = azure.folder / "score-onnx.log"
    async with MeasuredProcess(
        "services.cli.bench.scorer.onnx_floor", [], azure.variables(), log, Cores.split(1).measured
    ) as program:
        return float((await program.read_event("measured"))["rate"])


async def _loop_lap(azure: EmbeddedAzure, hub: str, load: Load, ours: ScoreLap, prefetch: int) -> float:
    output = f"{hub}-floor"
    numbers = (load.events_a_partition, ours.outputs_a_partition, ours.output_bytes, prefetch)
    arguments = [hub, output, *map(str, numbers)]
    log = azure.folder / "score-floor.log"
    async with (
        azure.hub(output, PARTITIONS),
        MeasuredProcess(
            "services.cli.bench.scorer.sdk_floor", arguments, azure.variables(), log, Cores.split(1).measured
        ) as program,
    ):
        started, finished = await program.read_event("started"), await program.read_event("finished")
    return float(load.readings / (finished["cpu_s"] - started["cpu_s"]))
