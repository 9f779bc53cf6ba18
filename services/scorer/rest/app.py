"""The scorer's HTTP application."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from services.scorer.rest.adaptive_batching import AdaptiveBatcher
from services.scorer.rest.api_docs.routes import reference_routes
from services.scorer.rest.automobiles.endpoint import AutomobileEndpoint
from services.scorer.rest.inference.endpoint import (
    AutomobileInference,
    InferenceEndpoint,
    PriceInference,
    ServedInference,
)
from services.scorer.rest.models import ModelsEndpoint
from services.scorer.rest.operations import HEALTH, OPERATIONS
from services.scorer.rest.prices.endpoint import PricesEndpoint
from services.scorer.settings import ScorerSettings
from shared.http.admission import Admission
from shared.http.auth.api_keys import ApiKeys
from shared.http.auth.callers import Callers
from shared.http.auth.key_sources import accepted_keys
from shared.http.auth.signing_keys import SigningKeys
from shared.http.auth.tokens import EntraTokens, TokenRequirements
from shared.http.middleware import ENTRANCE, RequestMiddleware
from shared.http.watched_files import apply_changes
from shared.pricing.automobile import ActiveAutomobileModel
from shared.pricing.pricer import ActivePriceModel
from shared.service.errors import SettingsError
from shared.service.metrics import health_routes


def make_app(
    settings: ScorerSettings,
    served: ActivePriceModel,
    is_ready: Callable[[], bool],
    is_draining: Callable[[], bool] = lambda: False,
    automobile: ActiveAutomobileModel | None = None,
) -> web.Application:
    """Routes and what happens to every request; raises SettingsError for unusable keys."""
    keys = ApiKeys(accepted_keys(settings))
    signing_keys = (
        SigningKeys(settings.token_issuer, settings.key_interval_s) if settings.token_issuer else None
    )
    tokens = EntraTokens(_demands(settings), signing_keys) if signing_keys else None
    callers = Callers(keys, tokens, settings.vehicles_per_s, settings.vehicles_burst)
    entrance = RequestMiddleware(callers, settings.max_requests, is_draining)
    app = web.Application(client_max_size=settings.max_body_bytes)
    app[ENTRANCE] = entrance
    runs = AdaptiveBatcher(served, Admission(settings.max_wait_s, settings.max_waiting_vehicles))
    models: list[ServedInference] = [PriceInference(served, runs)]
    if automobile is not None:
        models.append(AutomobileInference(automobile))
    handlers = _handlers(served, automobile, runs, InferenceEndpoint(models, is_ready))
    reference = reference_routes([*handlers, *HEALTH], models)
    app.add_routes(entrance.routes([*health_routes(is_ready), *_routes(handlers), *reference]))
    if settings.api_keys_file is not None:
        renew = partial(_renew, keys, settings)
        app.cleanup_ctx.append(
            _beside(partial(apply_changes, [settings.api_keys_file], renew, settings.watch_interval_s))
        )
    if signing_keys is not None:
        app.cleanup_ctx.append(_beside(signing_keys.refresh_forever))
    return app


def _handlers(
    served: ActivePriceModel,
    automobile: ActiveAutomobileModel | None,
    runs: AdaptiveBatcher,
    inference: InferenceEndpoint,
) -> dict[str, Handler]:
    """Who answers which operation, by its id."""
    handlers: dict[str, Handler] = {
        "priceVehicles": PricesEndpoint(runs).handle,
        "listModels": ModelsEndpoint([served, automobile] if automobile else [served]).handle,
        "inferenceServer": inference.server,
        "inferenceLive": inference.live,
        "inferenceReady": inference.ready,
    }
    for suffix in ("", "OfVersion"):
        handlers[f"inferenceModel{suffix}"] = inference.model
        handlers[f"inferenceModelReady{suffix}"] = inference.model_ready
        handlers[f"infer{suffix}"] = inference.infer
    if automobile is not None:
        handlers["scoreAutomobiles"] = AutomobileEndpoint(automobile).handle
    return handlers


def _routes(handlers: Mapping[str, Handler]) -> list[web.RouteDef]:
    """The table of operations says where each is served."""
    return [
        (web.post if operation.method == "POST" else web.get)(operation.path, handlers[operation.id])
        for operation in OPERATIONS
        if operation.id in handlers
    ]


def _renew(keys: ApiKeys, settings: ScorerSettings) -> None:
    keys.replace(accepted_keys(settings))


def _demands(settings: ScorerSettings) -> TokenRequirements:
    audiences = tuple(one for part in settings.token_audience.split(",") if (one := part.strip()))
    if not audiences:
        raise SettingsError("FLEETPRICE_SCORER_TOKEN_AUDIENCE: say for which audience tokens must be")
    return TokenRequirements(settings.token_issuer, audiences, settings.token_role, settings.token_scope)


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
