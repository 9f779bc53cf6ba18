"""Several processes of one service on one machine, which share a hub's partitions by their ownership.

The parent does no work of its own: it starts the workers, serves their metrics and readiness on one port, has
all of them drain when it is told to stop, and starts one again that ends. A worker that says what a person
must change (exit code 2) ends the others too, and one that keeps failing likewise: the exit code is theirs.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiohttp
import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from shared.service.errors import FleetpriceError, NeedsAttention
from shared.service.metrics import merge_metrics, serve_app
from shared.service.processes.free_ports import free_port
from shared.service.processes.restart_policy import Next, RestartPolicy

log = structlog.get_logger()

_HOST = "127.0.0.1"
_ANSWER_TIMEOUT_S = 2.0


class WorkerKeepsFailing(FleetpriceError):
    """A worker ended again and again soon after its start; its log says why."""


@dataclass(frozen=True, slots=True)
class Workers:
    """`count` times `python -m module`; `variables` are set over the parent's own environment.

    `port_variable` names the setting of a worker's port of health and metrics; `drain_s` is how long it may
    take to end after SIGTERM.
    """

    count: int
    module: str
    variables: Mapping[str, str]
    port_variable: str
    drain_s: float


@dataclass(slots=True)
class _Worker:
    number: int
    port: int
    lives: RestartPolicy = field(default_factory=lambda: RestartPolicy(may_finish=False))


async def run_workers(workers: Workers, host: str, port: int, setting: str, stop: asyncio.Event) -> None:
    """Run them until `stop`, then drain them all.

    Raises NeedsAttention or WorkerKeepsFailing for a worker that cannot go on, once the others have drained.
    """
    ports: set[int] = set()
    while len(ports) < workers.count:
        ports.add(free_port(ports))
    own = [_Worker(number, one) for number, one in enumerate(sorted(ports))]
    async with _served(own, host, port, setting):
        keeping = [asyncio.create_task(_keep(worker, workers, stop)) for worker in own]
        await asyncio.wait(
            [*keeping, stopping := asyncio.create_task(stop.wait())], return_when="FIRST_COMPLETED"
        )
        stop.set()
        await stopping
        await asyncio.wait(keeping)
        for one in keeping:
            one.result()


async def _keep(worker: _Worker, workers: Workers, stop: asyncio.Event) -> None:
    """Run one worker, life after life, until `stop`."""
    while not stop.is_set():
        started_s = time.monotonic()
        code = await _ended(await _started(worker, workers), stop, workers.drain_s)
        if stop.is_set():
            return
        match worker.lives.after(code, time.monotonic() - started_s):
            case Next.REFUSED:
                raise NeedsAttention(
                    f"worker {worker.number} cannot go on: the line above says what to change"
                )
            case Next.GIVEN_UP:
                raise WorkerKeepsFailing(
                    f"worker {worker.number} ended {worker.lives.short_lives} times in a row"
                )
        log.warning("worker_ended", worker=worker.number, exit_code=code, restarts=worker.lives.restarts)
        with suppress(TimeoutError):
            async with asyncio.timeout(worker.lives.delay_s):
                await stop.wait()


async def _started(worker: _Worker, workers: Workers) -> asyncio.subprocess.Process:
    own = {workers.port_variable: str(worker.port), "FLEETPRICE_PARENT_PID": str(os.getpid())}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        workers.module,
        env={**os.environ, **workers.variables, **own},
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # a terminal's Ctrl-C reaches the parent alone, which has all of them drain
    )
    log.info("worker_started", worker=worker.number, pid=process.pid)
    return process


async def _ended(process: asyncio.subprocess.Process, stop: asyncio.Event, drain_s: float) -> int:
    """The exit code of a worker that ends by itself, or is told to by `stop`."""
    ending, stopping = asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())
    await asyncio.wait([ending, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not ending.done():
        with suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait([ending], timeout=drain_s)
        if not ending.done():
            log.warning("worker_not_drained", pid=process.pid)
            process.kill()
    return await ending


@asynccontextmanager
async def _served(workers: Sequence[_Worker], host: str, port: int, setting: str) -> AsyncIterator[None]:
    """Alive as soon as it answers, ready while every worker is; the metrics of all, each by its number."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_ANSWER_TIMEOUT_S)) as session:

        async def asked(path: str) -> dict[int, str | None]:
            answers = await asyncio.gather(*(_answer(session, worker, path) for worker in workers))
            return {worker.number: answer for worker, answer in zip(workers, answers, strict=True)}

        async def healthz(_request: web.Request) -> web.Response:
            return web.json_response({"status": "ok"})

        async def readyz(_request: web.Request) -> web.Response:
            answers = await asked("readyz")
            is_ready = all(answer is not None for answer in answers.values())
            states = {str(number): answer is not None for number, answer in answers.items()}
            status = "ready" if is_ready else "not ready"
            return web.json_response({"status": status, "workers": states}, status=200 if is_ready else 503)

        async def metrics(_request: web.Request) -> web.Response:
            texts = {str(number): text for number, text in (await asked("metrics")).items() if text}
            return web.Response(
                body=merge_metrics(texts, "worker"), headers={"Content-Type": CONTENT_TYPE_LATEST}
            )

        app = web.Application()
        app.add_routes(
            [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)]
        )
        async with serve_app(app, host, port, setting) as served:
            log.info("workers_started", count=len(workers), metrics_port=served)
            yield


async def _answer(session: aiohttp.ClientSession, worker: _Worker, path: str) -> str | None:
    """What a worker says; None where it does not answer, or answers that it is not well."""
    try:
        async with session.get(f"http://{_HOST}:{worker.port}/{path}") as answer:
            text = await answer.text()
            return text if answer.status == web.HTTPOk.status_code else None
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None
