"""The scorer's HTTP application."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from aiohttp import web

from services.scorer.rest.api_keys import ApiKeys
from services.scorer.rest.automobile import AutomobileEndpoint
from services.scorer.rest.callers import Callers
from services.scorer.rest.inference import InferenceEndpoint
from services.scorer.rest.key_sources import accepted_keys
from services.scorer.rest.middlewares import ENTRANCE, Entrance
from services.scorer.rest.models import ModelsEndpoint
from services.scorer.rest.prices import PricesEndpoint
from services.scorer.rest.shared_runs import SharedRuns
from services.scorer.rest.signing_keys import SigningKeys
from services.scorer.rest.tokens import Demands, EntraTokens
from services.scorer.rest.watched_files import apply_changes
from services.scorer.serving import ServedAutomobileModel, ServedModel
from services.scorer.settings import ScorerSettings
from shared.errors import SettingsError
from shared.metrics import health_routes


def make_app(
    settings: ScorerSettings,
    served: ServedModel,
    is_ready: Callable[[], bool],
    is_draining: Callable[[], bool] = lambda: False,
    automobile: ServedAutomobileModel | None = None,
) -> web.Application:
    """Routes and what happens to every request; raises SettingsError for unusable keys."""
    keys = ApiKeys(accepted_keys(settings))
    signing_keys = (
        SigningKeys(settings.token_issuer, settings.key_interval_s) if settings.token_issuer else None
    )
    tokens = EntraTokens(_demands(settings), signing_keys) if signing_keys else None
    callers = Callers(keys, tokens, settings.vehicles_per_s, settings.vehicles_burst)
    entrance = Entrance(callers, settings.max_requests, is_draining)
    app = web.Application(middlewares=[entrance.serve], client_max_size=settings.max_body_bytes)
    app[ENTRANCE] = entrance
    runs = SharedRuns(served, settings.max_waiting_vehicles)
    app.add_routes(health_routes(is_ready))
    app.add_routes(
        [
            web.post("/v1/prices", PricesEndpoint(runs, settings.body_timeout_s).handle),
            web.get("/v1/models", ModelsEndpoint([served, automobile] if automobile else [served]).handle),
        ]
    )
    if automobile is not None:
        app.add_routes([web.post("/score", AutomobileEndpoint(automobile, settings.body_timeout_s).handle)])
    app.add_routes(_inference_routes(InferenceEndpoint(served, runs, is_ready, settings.body_timeout_s)))
    if settings.api_keys_file is not None:
        renew = partial(_renew, keys, settings)
        app.cleanup_ctx.append(
            _beside(partial(apply_changes, [settings.api_keys_file], renew, settings.watch_interval_s))
        )
    if signing_keys is not None:
        app.cleanup_ctx.append(_beside(signing_keys.refresh_forever))
    return app


def _inference_routes(inference: InferenceEndpoint) -> list[web.RouteDef]:
    model = "/v2/models/{name}"
    return [
        web.get("/v2", inference.server),
        web.get("/v2/health/live", inference.live),
        web.get("/v2/health/ready", inference.ready),
        *(
            route
            for path in (model, f"{model}/versions/{{version}}")
            for route in (
                web.get(path, inference.model),
                web.get(f"{path}/ready", inference.model_ready),
                web.post(f"{path}/infer", inference.infer),
            )
        ),
    ]


def _renew(keys: ApiKeys, settings: ScorerSettings) -> None:
    keys.replace(accepted_keys(settings))


def _demands(settings: ScorerSettings) -> Demands:
    audiences = tuple(one for part in settings.token_audience.split(",") if (one := part.strip()))
    if not audiences:
        raise SettingsError("FLEETPRICE_SCORER_TOKEN_AUDIENCE: say for which audience tokens must be")
    return Demands(settings.token_issuer, audiences, settings.token_role, settings.token_scope)


def _beside(
    work: Callable[[], Coroutine[Any, Any, None]],
) -> Callable[[web.Application], AsyncIterator[None]]:
    """Work that goes on as long as the application serves."""

    async def context(_app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(work())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    return context
