"""One vehicle a request over HTTP: the unchanged scorer, beside a bare handler on the same core.

The scorer checks the body and the key, charges the caller's allowance and counts for its metrics; the bare
handler does none of that. Callers have the other core. With them as many requests are under way as keep the
server busy; the scorer prices those together that are there at once, as it does for anyone.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.cli.bench.embedded_stack import Cores, World
from services.cli.bench.figure import Figure, Lap, figure
from services.cli.bench.http.requests import KEY
from services.cli.bench.measured_process import Program

# How many callers ask at once.
HTTP_LOADS = {"http_single": 8, "http_single_alone": 1}
_REQUESTS, _WARM_UP = 20_000, 2_000


async def http_figure(world: World, name: str, rounds: int, scale: float) -> Figure:
    """Laps of ours and of the floor in turn; the middle of each."""
    callers, requests = HTTP_LOADS[name], max(1_000, round(_REQUESTS * scale))
    cores = Cores.of(1)
    world.program.hold(cores.serving)
    ours, floors = [], []
    for _ in range(rounds):
        async with scorer(world, cores) as (program, port):
            ours.append(await _lap(world, program, port, callers, requests))
        async with bare_handler(world, cores) as (program, port):
            floors.append(await _lap(world, program, port, callers, requests))
    # One caller alone never keeps a server busy: its processor time is what can be compared.
    has_own_cores = callers > 1 and cores.serving.isdisjoint(cores.measured)
    return figure(name, ours, floors, 1, has_own_cores=has_own_cores, of="requests")


@asynccontextmanager
async def scorer(world: World, cores: Cores, **settings: object) -> AsyncIterator[tuple[Program, int]]:
    """The unchanged `python -m services.scorer` without a stream, and its port."""
    variables = world.variables(
        STORAGE="",
        SCORER_STREAM="false",
        SCORER_HTTP_PORT=0,
        SCORER_API_KEYS=KEY,
        SCORER_VEHICLES_PER_S=1e9,
        SCORER_VEHICLES_BURST=1e9,
        **settings,
    )
    log = world.folder / "http-scorer.log"
    async with Program("services.scorer", [], variables, log, cores.measured) as program:
        yield program, (await program.logged("http_listening"))["port"]


@asynccontextmanager
async def bare_handler(world: World, cores: Cores) -> AsyncIterator[tuple[Program, int]]:
    log = world.folder / "http-floor.log"
    async with Program("services.cli.bench.http.floor", [], {}, log, cores.measured) as program:
        yield program, (await program.told("listening"))["port"]


async def _lap(world: World, program: Program, port: int, callers: int, requests: int) -> Lap:
    await _asked(world, port, callers, _WARM_UP)
    before = program.usage()
    took_s = await _asked(world, port, callers, requests)
    return Lap(requests, took_s, program.usage().cpu_s - before.cpu_s)


async def _asked(world: World, port: int, callers: int, requests: int) -> float:
    """How long it took until all were answered, seconds."""
    arguments = [str(port), str(callers), str(requests)]
    log = world.folder / "http-callers.log"
    async with Program("services.cli.bench.http.callers", arguments, {}, log, Cores.of(1).serving) as program:
        started, finished = await program.told("started"), await program.told("finished")
    return float(finished["clock_s"] - started["clock_s"])
