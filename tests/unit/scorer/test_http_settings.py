"""The scorer's settings reach the HTTP library as they were given."""

from pathlib import Path

from services.scorer.rest.http_settings import http_settings
from services.scorer.settings import ScorerSettings
from shared.http.auth.tokens import TokenRequirements
from shared.http.limits import ConnectionLimits


def settings_of(**given):
    return http_settings(ScorerSettings(_env_file=None, **given))


def test_limits_keep_their_names():
    """Each limit and time-out is the one of its own setting."""
    http = settings_of(
        max_connections=1,
        request_timeout_s=2,
        answer_timeout_s=3,
        idle_timeout_s=4,
        http_drain_s=5,
        max_requests=6,
        max_body_bytes=7_000,
        vehicles_per_s=8,
        vehicles_burst=9_000,
    )
    assert http.limits == ConnectionLimits(connections=1, request_s=2, answer_s=3, idle_s=4)
    assert (http.drain_s, http.max_requests, http.max_body_bytes) == (5, 6, 7_000)
    assert (http.rate_limit.per_s, http.rate_limit.burst) == (8, 9_000)
    assert http.rate_limit.detail == "this caller may price 8 vehicles a second: try again later"


def test_the_socket_and_its_certificate():
    """Host, port and certificate are those of the settings; errors name the scorer's variables."""
    files = {"tls_certificate": Path("chain.pem"), "tls_key": Path("key.pem")}
    http = settings_of(host="::1", http_port=8_443, shares_port=True, watch_interval_s=2, **files)
    assert (http.host, http.port, http.shares_port, http.watch_interval_s) == ("::1", 8_443, True, 2)
    assert (http.tls_certificate, http.tls_key) == tuple(files.values())
    assert http.variable("HTTP_PORT") == "FLEETPRICE_SCORER_HTTP_PORT"


def test_keys_and_tokens():
    """Audiences are separated by commas; without an issuer no token is accepted; keys are not shown."""
    assert settings_of().tokens is None
    http = settings_of(
        api_keys="secret",
        api_keys_file="keys",
        token_issuer="https://issuer.example",
        token_audience=" one, two ,",
        token_role="r",
        token_scope="s",
        key_interval_s=6,
    )
    assert http.tokens == TokenRequirements("https://issuer.example", ("one", "two"), "r", "s")
    assert (http.keys.given, http.keys.file, http.key_interval_s) == ("secret", Path("keys"), 6)
    assert "secret" not in repr(http)
