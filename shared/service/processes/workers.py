"""Workers: several processes of one service on one machine, which divide a hub's partitions among them.

The parent only starts the workers, serves their metrics and readiness on one port, restarts a worker that
ends, and drains all workers when it is stopped. If a worker needs a person (exit code 2) or keeps failing,
the parent drains the other workers and ends with NeedsAttention (exit code 2) or KeepsFailing (exit code 1).
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from shared.service.metrics import merge_metrics, serve_app
from shared.service.processes.free_ports import free_ports
from shared.service.processes.process import Process, Program
from shared.service.processes.supervisor import SupervisedProcess, Supervisor
from shared.service.tasks import first_completed

log = structlog.get_logger()

_HOST = "127.0.0.1"
_ANSWER_TIMEOUT_S = 2.0
_NAME = "worker "


@dataclass(frozen=True, slots=True)
class Workers:
    """A group of `count` processes `python -m module`; `variables` are added to the parent's environment.

    `port_variable` names the setting for a worker's health and metrics port; `drain_s` is how many seconds a
    worker may take to end after SIGTERM.
    """

    count: int
    module: str
    variables: Mapping[str, str]
    port_variable: str
    drain_s: float


async def run_workers(workers: Workers, host: str, port: int, setting: str, stop: asyncio.Event) -> None:
    """Run the workers until `stop` is set, then drain them all.

    Raises NeedsAttention if a worker ends with exit code 2, and KeepsFailing if a worker's restarts are given
    up; the other workers are drained first.
    """
    port_of = dict(enumerate(free_ports(workers.count)))
    async with _serve(port_of, host, port, setting), Supervisor(_start, _log_end) as supervisor:
        running = [supervisor.start(_program(workers, *one)) for one in port_of.items()]
        try:
            await first_completed(stop.wait(), supervisor.failure())
        finally:
            await asyncio.gather(*(_drain(one, workers.drain_s) for one in running))


def _program(workers: Workers, number: int, port: int) -> Program:
    """Return the program of one worker; it has no log, so the worker writes to the parent's stderr."""
    environment = {**os.environ, **workers.variables, workers.port_variable: str(port)}
    return Program(f"{_NAME}{number}", workers.module, environment)


def _number(program: Program) -> int:
    return int(program.name.removeprefix(_NAME))


async def _start(program: Program) -> Process:
    process = await Process.start(program)
    log.info("worker_started", worker=_number(program), pid=process.pid)
    return process


def _log_end(worker: SupervisedProcess, exit_code: int, _lived_s: float) -> None:
    number, restarts = _number(worker.program), worker.policy.restarts
    log.warning("worker_ended", worker=number, exit_code=exit_code, restarts=restarts)


async def _drain(worker: SupervisedProcess, drain_s: float) -> None:
    if not await worker.stop(drain_s):
        log.warning("worker_not_drained", worker=_number(worker.program), waited_s=drain_s)


@asynccontextmanager
async def _serve(port_of: Mapping[int, int], host: str, port: int, setting: str) -> AsyncIterator[None]:
    """Serve `/healthz`, `/readyz` and `/metrics` for all workers on one port.

    `/readyz` answers 200 if every worker is ready; the samples of `/metrics` are labelled by worker number.
    """
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_ANSWER_TIMEOUT_S)) as session:

        async def fetch_all(path: str) -> dict[int, str | None]:
            answers = await asyncio.gather(*(_fetch(session, one, path) for one in port_of.values()))
            return dict(zip(port_of, answers, strict=True))

        async def healthz(_request: web.Request) -> web.Response:
            return web.json_response({"status": "ok"})

        async def readyz(_request: web.Request) -> web.Response:
            states = {str(number): text is not None for number, text in (await fetch_all("readyz")).items()}
            is_ready = all(states.values())
            status = "ready" if is_ready else "not ready"
            return web.json_response({"status": status, "workers": states}, status=200 if is_ready else 503)

        async def metrics(_request: web.Request) -> web.Response:
            pages = {str(number): text for number, text in (await fetch_all("metrics")).items() if text}
            return web.Response(
                body=merge_metrics(pages, "worker"), headers={"Content-Type": CONTENT_TYPE_LATEST}
            )

        app = web.Application()
        app.add_routes(
            [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)]
        )
        async with serve_app(app, host, port, setting) as served:
            log.info("workers_started", count=len(port_of), metrics_port=served)
            yield


async def _fetch(session: aiohttp.ClientSession, port: int, path: str) -> str | None:
    """Return a page of a worker, or None if the worker does not answer with status 200."""
    try:
        async with session.get(f"http://{_HOST}:{port}/{path}") as answer:
            text = await answer.text()
            return text if answer.status == web.HTTPOk.status_code else None
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None
