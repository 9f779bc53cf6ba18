"""Health and metrics over HTTP: `/healthz`, `/readyz` and `/metrics`, the same for every service."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from shared.service.errors import PortInUse
from shared.service.plain_http import serve_plain

_CLOSE_S = 2.0


def health_routes(is_ready: Callable[[], bool]) -> list[web.RouteDef]:
    """Return the routes of a service's health and metrics.

    `/readyz` answers 503 while `is_ready()` is false.
    """

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_request: web.Request) -> web.Response:
        ready = is_ready()
        return web.json_response({"status": "ready" if ready else "not ready"}, status=200 if ready else 503)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)]


def merge_metrics(pages: Mapping[str, str], label: str) -> bytes:
    """Merge the metrics pages of several processes into one page.

    `pages` maps each process's name to its page; every sample gets that name in the label `label`.
    """
    families: dict[str, Metric] = {}
    for process, page in pages.items():
        for family in text_string_to_metric_families(page):
            known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            known.samples += [one._replace(labels={**one.labels, label: process}) for one in family.samples]
    return generate_latest(_Families(list(families.values())))


class _Families(CollectorRegistry):
    def __init__(self, families: list[Metric]) -> None:
        super().__init__()
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


@asynccontextmanager
async def serve_app(app: web.Application, host: str, port: int, setting: str) -> AsyncIterator[int]:
    """Serve `app` and yield its port.

    Raises PortInUse if the port cannot be opened; the message names `setting`.
    """
    async with AsyncExitStack() as stack:
        try:
            served = await stack.enter_async_context(serve_plain(app, host, port, close_s=_CLOSE_S))
        except OSError as error:
            raise PortInUse(f"port {port} on {host} is in use: give {setting} another one") from error
        yield served
