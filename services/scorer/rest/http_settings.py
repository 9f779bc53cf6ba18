"""The scorer's settings as the HTTP library takes them."""

from services.scorer.settings import ScorerSettings
from shared.http.auth.tokens import TokenRequirements
from shared.http.limits import ConnectionLimits, RateLimit
from shared.http.settings import HttpSettings, KeySources
from shared.service.settings import PREFIX

DEVELOPMENT_API_KEY = "fleetprice-dev-key"


def http_settings(settings: ScorerSettings) -> HttpSettings:
    return HttpSettings(
        prefix=f"{PREFIX}{ScorerSettings.service}_",
        host=settings.host,
        port=settings.http_port,
        limits=ConnectionLimits(
            settings.max_connections,
            settings.request_timeout_s,
            settings.answer_timeout_s,
            settings.idle_timeout_s,
        ),
        rate_limit=RateLimit(
            settings.vehicles_per_s,
            settings.vehicles_burst,
            "too-many-vehicles",
            f"this caller may price {settings.vehicles_per_s:g} vehicles a second: try again later",
        ),
        max_requests=settings.max_requests,
        max_body_bytes=settings.max_body_bytes,
        drain_s=settings.http_drain_s,
        keys=KeySources(
            None if settings.api_keys is None else settings.api_keys.get_secret_value(),
            settings.api_keys_file,
            DEVELOPMENT_API_KEY,
        ),
        tokens=_token_requirements(settings),
        key_interval_s=settings.key_interval_s,
        shares_port=settings.shares_port,
        tls_certificate=settings.tls_certificate,
        tls_key=settings.tls_key,
        watch_interval_s=settings.watch_interval_s,
    )


def _token_requirements(settings: ScorerSettings) -> TokenRequirements | None:
    if not settings.token_issuer:
        return None
    audiences = tuple(one for part in settings.token_audience.split(",") if (one := part.strip()))
    return TokenRequirements(settings.token_issuer, audiences, settings.token_role, settings.token_scope)
