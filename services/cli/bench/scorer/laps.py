"""The scorer from hub to hub, beside what nothing that does its work can be faster than.

`score_arrow`'s floor is the bare model; `score_json`'s the bare SDK that receives and sends as many events.
All rates are per second of the measured process's processor time: hub, storage and the bench's own reader
share the machine's other cores, and on two of them a clock would measure those.
"""

import signal
import statistics
import time
from dataclasses import dataclass

from services.cli.bench.embedded_stack import Cores, World
from services.cli.bench.figure import Figure, Lap
from services.cli.bench.hub_load import PARTITIONS, Load, fill
from services.cli.bench.ingest.laps import settled
from services.cli.bench.measured_process import Program
from services.cli.bench.scorer.published import published
from shared.codec.bodies import ARROW, JSON

SCORE_LOADS = {
    "score_arrow": (ARROW, 500, 4, 60),
    "score_json": (JSON, 1, 2_500, 12),
}
_UNIT = "readings/CPU s"


@dataclass(frozen=True, slots=True)
class ScoreLap:
    """Ours, and what it published: by that the bare loop's answers are measured out."""

    lap: Lap
    outputs_a_partition: int
    output_bytes: int


async def score_figure(world: World, name: str, rounds: int, scale: float, prefetch: int) -> Figure:
    """Laps of ours and of the floor in turn; the middle of each."""
    content_type, pack, events, batches = SCORE_LOADS[name]
    load = Load(name, content_type, pack, events, max(1, round(batches * scale)))
    world.program.hold(Cores.of(1).serving)
    ours, floors = [], []
    for number in range(rounds):
        hub, output = f"{name.replace('_', '-')}-{number}", f"{name.replace('_', '-')}-{number}-out"
        async with world.hub(hub, PARTITIONS), world.hub(output, PARTITIONS):
            lap = await _score_lap(world, hub, output, load, prefetch)
            ours.append(lap.lap.cpu_rate)
            floors.append(
                await _model_lap(world)
                if content_type == ARROW
                else await _loop_lap(world, hub, load, lap, prefetch)
            )
    rate, floor = statistics.median(ours), statistics.median(floors)
    return Figure(name, rate, floor, rate / floor, _UNIT, 1, rate, floor)


async def _score_lap(world: World, hub: str, output: str, load: Load, prefetch: int) -> ScoreLap:
    """Ours, by the unchanged `python -m services.scorer`."""
    file_system = f"bench-{hub}"
    variables = world.variables(
        FILE_SYSTEM=file_system,
        TELEMETRY_HUB=hub,
        PREDICTIONS_HUB=output,
        BALANCING_INTERVAL_S=2,
        SCORER_HTTP="false",
        SCORER_PREFETCH=prefetch,
    )
    log = world.folder / f"{hub}.log"
    async with (
        world.file_system(file_system),
        Program("services.scorer", [], variables, log, Cores.of(1).measured) as program,
        published(world.event_hubs, output, load.events_a_partition - 1) as seen,
    ):
        await settled(program)
        program.send(signal.SIGSTOP)
        await fill(world.event_hubs, hub, load)
        before, started_s = program.usage(), time.time()
        program.send(signal.SIGCONT)
        await seen.whole()
        lap = Lap(load.readings, seen.last_enqueued_s - started_s, program.usage().cpu_s - before.cpu_s)
        return ScoreLap(lap, round(seen.events / PARTITIONS), seen.size_bytes // seen.events)


async def _model_lap(world: World) -> float:
    log = world.folder / "score-onnx.log"
    async with Program(
        "services.cli.bench.scorer.onnx_floor", [], world.variables(), log, Cores.of(1).measured
    ) as program:
        return float((await program.told("measured"))["rate"])


async def _loop_lap(world: World, hub: str, load: Load, ours: ScoreLap, prefetch: int) -> float:
    output = f"{hub}-floor"
    numbers = (load.events_a_partition, ours.outputs_a_partition, ours.output_bytes, prefetch)
    arguments = [hub, output, *map(str, numbers)]
    log = world.folder / "score-floor.log"
    async with (
        world.hub(output, PARTITIONS),
        Program(
            "services.cli.bench.scorer.sdk_floor", arguments, world.variables(), log, Cores.of(1).measured
        ) as program,
    ):
        started, finished = await program.told("started"), await program.told("finished")
    return float(load.readings / (finished["cpu_s"] - started["cpu_s"]))
