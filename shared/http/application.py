"""An aiohttp application that authenticates its callers and sends every request through the middleware."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from aiohttp import web

from shared.http.auth.api_keys import ApiKeys
from shared.http.auth.callers import Callers
from shared.http.auth.key_sources import read_keys
from shared.http.auth.signing_keys import SigningKeys
from shared.http.auth.tokens import EntraTokens
from shared.http.middleware import MIDDLEWARE, PathRules, RequestMiddleware
from shared.http.settings import HttpSettings
from shared.http.watched_files import apply_changes
from shared.service.errors import SettingsError


def make_application(
    settings: HttpSettings,
    rules: PathRules,
    routes: Iterable[web.RouteDef],
    is_draining: Callable[[], bool],
) -> web.Application:
    """Return an application that serves `routes` and follows changes of its API keys and signing keys.

    Raises SettingsError if the API keys, the token issuer or the token audience are missing or unusable.
    """
    keys = ApiKeys(read_keys(settings))
    signing_keys = _signing_keys(settings)
    tokens = EntraTokens(settings.tokens, signing_keys) if settings.tokens and signing_keys else None
    callers = Callers(keys, tokens, settings.rate_limit)
    middleware = RequestMiddleware(rules, callers, settings.max_requests, is_draining)
    app = web.Application(client_max_size=settings.max_body_bytes)
    app[MIDDLEWARE] = middleware
    app.add_routes(middleware.wrap(routes))
    if settings.keys.file is not None:
        renew = partial(_renew, keys, settings)
        watch = partial(apply_changes, [settings.keys.file], renew, settings.watch_interval_s)
        app.cleanup_ctx.append(_run_while_serving(watch))
    if signing_keys is not None:
        app.cleanup_ctx.append(_run_while_serving(signing_keys.refresh_forever))
    return app


def _signing_keys(settings: HttpSettings) -> SigningKeys | None:
    if settings.tokens is None:
        return None
    if not settings.tokens.audiences:
        raise SettingsError(f"{settings.variable('TOKEN_AUDIENCE')}: say for which audience tokens must be")
    return SigningKeys(settings.tokens.issuer, settings.key_interval_s, settings.variable("TOKEN_ISSUER"))


def _renew(keys: ApiKeys, settings: HttpSettings) -> None:
    keys.replace(read_keys(settings))


def _run_while_serving(
    work: Callable[[], Coroutine[Any, Any, None]],
) -> Callable[[web.Application], AsyncIterator[None]]:
    """Return a cleanup context that runs `work` in a task for as long as the application serves."""

    async def context(_app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(work())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    return context
