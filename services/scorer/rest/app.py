"""The scorer's HTTP application: the handler of each operation, and which paths take a key."""

from collections.abc import Callable, Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from services.scorer.rest.api_docs.routes import docs_routes
from services.scorer.rest.automobiles.endpoint import AutomobileEndpoint
from services.scorer.rest.batching.adaptive_batching import AdaptiveBatcher
from services.scorer.rest.batching.admission import Admission
from services.scorer.rest.http_settings import http_settings
from services.scorer.rest.inference.endpoint import (
    AutomobileInference,
    InferenceEndpoint,
    PriceInference,
    ServedInference,
)
from services.scorer.rest.inference.errors import INFERENCE, inference_error_response, is_inference
from services.scorer.rest.models import ModelsEndpoint
from services.scorer.rest.operations import HEALTH, OPERATIONS
from services.scorer.rest.prices.endpoint import PricesEndpoint
from services.scorer.settings import ScorerSettings
from shared.http.application import make_application
from shared.http.middleware import PathRules
from shared.http.problems import Refusal, problem_response
from shared.http.responses import Answer
from shared.pricing.automobile import ActiveAutomobileModel
from shared.pricing.pricer import ActivePriceModel
from shared.service.metrics import health_routes

_GUARDED = ("/v1/", "/score", INFERENCE)
_OPEN = f"{INFERENCE}/health/"
_PROBES = frozenset({"/healthz", "/readyz", "/metrics", f"{_OPEN}live", f"{_OPEN}ready"})


def make_app(
    settings: ScorerSettings,
    served: ActivePriceModel,
    is_ready: Callable[[], bool],
    is_draining: Callable[[], bool] = lambda: False,
    automobile: ActiveAutomobileModel | None = None,
) -> web.Application:
    """Return the application that prices with the served models. Raises SettingsError for unusable keys."""
    batcher = AdaptiveBatcher(served, Admission(settings.max_wait_s, settings.max_waiting_vehicles))
    models: list[ServedInference] = [PriceInference(served, batcher)]
    if automobile is not None:
        models.append(AutomobileInference(automobile))
    handlers = _handlers(served, automobile, batcher, InferenceEndpoint(models, is_ready))
    docs = docs_routes([*handlers, *HEALTH], models)
    routes = [*health_routes(is_ready), *_routes(handlers), *docs]
    rules = PathRules(_needs_caller, _PROBES, _write_error)
    return make_application(http_settings(settings), rules, routes, is_draining)


def _needs_caller(path: str) -> bool:
    """Return True for every path that prices; probes are sent without a key."""
    return path.startswith(_GUARDED) and not path.startswith(_OPEN)


def _write_error(path: str, refusal: Refusal) -> Answer:
    return inference_error_response(refusal) if is_inference(path) else problem_response(refusal)


def _handlers(
    served: ActivePriceModel,
    automobile: ActiveAutomobileModel | None,
    batcher: AdaptiveBatcher,
    inference: InferenceEndpoint,
) -> dict[str, Handler]:
    """Return the handler of each operation, by the operation's id."""
    handlers: dict[str, Handler] = {
        "priceVehicles": PricesEndpoint(batcher).handle,
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
    """Return a route for each handler, by the table of operations."""
    return [
        (web.post if operation.method == "POST" else web.get)(operation.path, handlers[operation.id])
        for operation in OPERATIONS
        if operation.id in handlers
    ]
