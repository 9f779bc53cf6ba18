"""A lap: everything in the hub is read once, either by ingest or by the bare SDK.

While the hub is filled, ingest is stopped with its links open and its partitions claimed, so that a figure
includes neither start-up nor sending. The time of ingest runs from SIGCONT until the last reading is in a
committed file; the time of the bare SDK runs from its first event.
"""

import asyncio
import signal
import time
from datetime import datetime

from services.cli.bench.embedded_azure import Cores, EmbeddedAzure
from services.cli.bench.figure import Lap
from services.cli.bench.hub_load import PARTITIONS, Load, fill
from services.cli.bench.measured_process import MeasuredProcess

# As in `fleetprice up`: balancing goes on during the measurement, and its cost is included.
_BALANCING_S, _SETTLE_S = 2.0, 5.0
_LOOK_S = 0.02


async def run_floor_lap(azure: EmbeddedAzure, hub: str, load: Load, prefetch: int, processes: int) -> Lap:
    """Measure the bare SDK in `processes` processes, each with an equal share of the partitions."""
    share = PARTITIONS // processes
    laps = await asyncio.gather(
        *(
            _run_floor(
                azure, hub, load, prefetch, list(range(n * share, (n + 1) * share)), Cores.split(processes)
            )
            for n in range(processes)
        )
    )
    took_s = max(end for _, end, _ in laps) - min(start for start, _, _ in laps)
    return Lap(load.readings, took_s, sum(cpu_s for _, _, cpu_s in laps))


async def _run_floor(
    azure: EmbeddedAzure, hub: str, load: Load, prefetch: int, partitions: list[int], cores: Cores
) -> tuple[float, float, float]:
    names = ",".join(map(str, partitions))
    arguments = [hub, names, str(load.events_a_partition * len(partitions)), str(prefetch)]
    log = azure.folder / f"floor-{partitions[0]}.log"
    async with MeasuredProcess(
        "services.cli.bench.ingest.sdk_floor", arguments, azure.variables(), log, cores.measured
    ) as program:
        started, finished = await program.read_event("started"), await program.read_event("finished")
    return started["clock_s"], finished["clock_s"], finished["cpu_s"] - started["cpu_s"]


async def run_ingest_lap(azure: EmbeddedAzure, hub: str, load: Load, prefetch: int, workers: int) -> Lap:
    """Measure the unchanged `python -m services.ingest`, from the hub to committed files."""
    file_system = f"bench-{hub}"
    variables = azure.variables(
        FILE_SYSTEM=file_system,
        TELEMETRY_HUB=hub,
        BALANCING_INTERVAL_S=_BALANCING_S,
        INGEST_STREAMS="telemetry",
        INGEST_WORKERS=workers,
        INGEST_PREFETCH=prefetch,
        INGEST_ROLL_MAX_ROWS=load.rows_a_partition // load.files_a_partition,
        INGEST_ROLL_MAX_BYTES=2**30,
        INGEST_ROLL_MAX_AGE_S=3_600,
    )
    log = azure.folder / f"{hub}.log"
    cores = Cores.split(workers)
    async with (
        azure.file_system(file_system),
        MeasuredProcess("services.ingest", [], variables, log, cores.measured) as program,
    ):
        await wait_until_settled(program)
        program.send(signal.SIGSTOP)
        await fill(azure.event_hubs, hub, load)
        before, started_s = program.usage(), time.time()
        program.send(signal.SIGCONT)
        ended_s = await _wait_until_landed(program, load.readings)
        return Lap(load.readings, ended_s - started_s, program.usage().cpu_s - before.cpu_s)


async def wait_until_settled(program: MeasuredProcess) -> None:
    """Wait until all partitions are opened and none has been opened for 5 s.

    Raises EndedEarly if the process ends.
    """
    await program.wait_for_log("partition_opened")
    quiet_since_s, opened = time.monotonic(), 0
    while opened < PARTITIONS or time.monotonic() - quiet_since_s < _SETTLE_S:
        now = len(program.logged_events("partition_opened"))
        if now != opened:
            quiet_since_s, opened = time.monotonic(), now
        await asyncio.sleep(_LOOK_S)
        program.check_running()


async def _wait_until_landed(program: MeasuredProcess, readings: int) -> float:
    """Wait until all readings are committed, according to the program's log.

    Return the time of the last commit, in seconds since the epoch.
    """
    while True:
        committed = program.logged_events("file_committed")
        if sum(one["rows"] for one in committed) >= readings:
            return max(datetime.fromisoformat(one["timestamp"]).timestamp() for one in committed)
        await asyncio.sleep(_LOOK_S)
        program.check_running()
