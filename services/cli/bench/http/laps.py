"""One vehicle per request over HTTP: the unchanged scorer, beside a bare handler on the same core.

The scorer checks the body and the key, charges the caller's allowance and counts metrics; the bare handler
does none of that. The callers run on the remaining cores. As always, the scorer prices requests that are
present at the same time together.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.cli.bench.embedded_azure import Cores, EmbeddedAzure
from services.cli.bench.figure import Figure, Lap, compare_laps
from services.cli.bench.http.requests import KEY
from services.cli.bench.measured_process import MeasuredProcess

# Concurrent callers.
HTTP_LOADS = {"http_single": 8, "http_single_alone": 1}
_REQUESTS, _WARM_UP = 20_000, 2_000


async def measure_http(azure: EmbeddedAzure, name: str, rounds: int, scale: float) -> Figure:
    """Measure laps of the scorer and of the bare handler in turn, and compare the medians."""
    callers, requests = HTTP_LOADS[name], max(1_000, round(_REQUESTS * scale))
    cores = Cores.split(1)
    azure.emulator.pin(cores.serving)
    ours, floors = [], []
    for _ in range(rounds):
        async with run_scorer(azure, cores) as (program, port):
            ours.append(await _lap(azure, program, port, callers, requests))
        async with run_bare_handler(azure, cores) as (program, port):
            floors.append(await _lap(azure, program, port, callers, requests))
    # One caller alone never keeps a server busy: only processor time can be compared.
    has_own_cores = callers > 1 and cores.serving.isdisjoint(cores.measured)
    return compare_laps(name, ours, floors, 1, has_own_cores=has_own_cores, of="requests")


@asynccontextmanager
async def run_scorer(
    azure: EmbeddedAzure, cores: Cores, **settings: object
) -> AsyncIterator[tuple[MeasuredProcess, int]]:
    """Run the unchanged `python -m services.scorer` without a stream; yield its process and its port."""
    variables = azure.variables(
        STORAGE="",
        SCORER_STREAM="false",
        SCORER_HTTP_PORT=0,
        SCORER_API_KEYS=KEY,
        SCORER_VEHICLES_PER_S=1e9,
        SCORER_VEHICLES_BURST=1e9,
        **settings,
    )
    log = azure.folder / "http-scorer.log"
    async with MeasuredProcess("services.scorer", [], variables, log, cores.measured) as program:
        yield program, (await program.wait_for_log("http_listening"))["port"]


@asynccontextmanager
async def run_bare_handler(azure: EmbeddedAzure, cores: Cores) -> AsyncIterator[tuple[MeasuredProcess, int]]:
    log = azure.folder / "http-floor.log"
    async with MeasuredProcess("services.cli.bench.http.floor", [], {}, log, cores.measured) as program:
        yield program, (await program.read_event("listening"))["port"]


async def _lap(azure: EmbeddedAzure, program: MeasuredProcess, port: int, callers: int, requests: int) -> Lap:
    await _time_requests(azure, port, callers, _WARM_UP)
    before = program.usage()
    took_s = await _time_requests(azure, port, callers, requests)
    return Lap(requests, took_s, program.usage().cpu_s - before.cpu_s)


async def _time_requests(azure: EmbeddedAzure, port: int, callers: int, requests: int) -> float:
    """Send requests from a process of callers, and return the seconds until all are answered."""
    arguments = [str(port), str(callers), str(requests)]
    log = azure.folder / "http-callers.log"
    async with MeasuredProcess(
        "services.cli.bench.http.callers", arguments, {}, log, Cores.split(1).serving
    ) as program:
        started, finished = await program.read_event("started"), await program.read_event("finished")
    return float(finished["clock_s"] - started["clock_s"])
