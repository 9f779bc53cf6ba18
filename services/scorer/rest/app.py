"""The scorer's HTTP application."""

from collections.abc import Callable

from aiohttp import web

from services.scorer.rest.api_keys import ApiKeys
from services.scorer.rest.middlewares import counted, explained, guarded, identified
from services.scorer.rest.prices import PricesEndpoint
from services.scorer.serving import ServedModel
from services.scorer.settings import ScorerSettings
from shared.metrics import health_routes


def make_app(settings: ScorerSettings, served: ServedModel, is_ready: Callable[[], bool]) -> web.Application:
    """Routes and what happens to every request; raises SettingsError for unusable keys."""
    keys = ApiKeys(settings.accepted_keys())
    app = web.Application(
        middlewares=[identified, counted, explained, guarded(keys)],
        client_max_size=settings.max_body_bytes,
    )
    app.add_routes(health_routes(is_ready))
    app.add_routes([web.post("/v1/prices", PricesEndpoint(served).handle)])
    return app
