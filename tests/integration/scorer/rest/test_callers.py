"""API keys, settings that protect nothing, and the limit of each caller."""

import asyncio
from hashlib import sha256

import pytest
import structlog

from services.scorer.__main__ import serve
from services.scorer.settings import ScorerSettings
from shared.service.errors import SettingsError


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def line(name, key):
    return f"{name}:sha256:{sha256(key.encode()).hexdigest()}"


async def eventually(asked, status):
    """Repeat a request until its status is this: nothing shows when a watched file was read."""
    async with asyncio.timeout(60):
        while (await asked()).status != status:
            pass


@pytest.mark.parametrize(
    "authorization", ["", "Bearer wrong", "Bearer", "Basic fleetprice-dev-key", "Bearer é", "Bearer e.y.y"]
)
async def test_a_wrong_key_is_refused(http, focus, authorization):
    """Without an accepted key there is no price: 401 with a challenge."""
    response, problem = await http.post(focus, Authorization=authorization)
    assert response.status == problem["status"] == 401
    assert response.headers["WWW-Authenticate"].startswith('Bearer realm="fleetprice"')
    for path in ("/v1/models", "/v2", "/v2/models/price"):
        assert (await http.ask("GET", path, Authorization=authorization)).status in (401, 404)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
async def test_the_schemes_case_and_spaces_do_not_matter(http, focus, scheme):
    """`Bearer` is accepted in any case, with more than one space after it."""
    assert (await http.post(focus, Authorization=f"{scheme} fleetprice-dev-key"))[0].status == 200


async def test_every_caller_has_a_key_of_its_own(serving, focus, tmp_path):
    """A file holds hashed keys, one or more a caller; the development key is then refused."""
    path = tmp_path / "keys"
    path.write_text(
        f"# partners\n{line('partner', 'one')}\n\n{line('partner', 'two')}\n{line('fleet', 'three')}"
    )
    async with serving(api_keys_file=path, key={}) as http:
        for key, status in (("one", 200), ("two", 200), ("three", 200), ("fleetprice-dev-key", 401)):
            assert (await http.post(focus, **bearer(key)))[0].status == status


async def test_keys_are_rotated_without_a_restart(serving, focus, tmp_path):
    """A changed file is read within a moment: new keys work, old ones end; a broken one changes nothing."""
    path = tmp_path / "keys"
    path.write_text(line("partner", "old"))
    async with serving(api_keys_file=path, key={}) as http:

        async def ask(key):
            return (await http.post(focus, **bearer(key)))[0]

        assert [(await ask(key)).status for key in ("old", "new")] == [200, 401]
        fresh = tmp_path / "fresh"
        fresh.write_text(line("partner", "new"))
        fresh.rename(path)
        await eventually(lambda: ask("new"), 200)
        assert (await ask("old")).status == 401
        with structlog.testing.capture_logs() as events:
            path.write_text("partner:new")
            async with asyncio.timeout(60):
                while not any(event["event"] == "files_not_reloaded" for event in events):
                    assert (await ask("new")).status == 200


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"host": "0.0.0.0"}, "FLEETPRICE_SCORER_API_KEYS"),
        ({"host": "0.0.0.0", "api_keys": line("me", "fleetprice-dev-key")}, "development key"),
        ({"api_keys": " , "}, "name no key"),
        ({"api_keys": "me:sha256:abc"}, "not NAME:sha256:HEX"),
        ({"api_keys_file": "nowhere"}, "FLEETPRICE_SCORER_API_KEYS_FILE"),
        ({"token_issuer": "http://example.org", "token_audience": "a"}, "TOKEN_ISSUER"),
        ({"token_issuer": "https://example.org"}, "TOKEN_AUDIENCE"),
        ({"tls_key": "key.pem"}, "TLS_CERTIFICATE"),
        ({"tls_key": "key.pem", "tls_certificate": "c.pem"}, "TLS_CERTIFICATE"),
    ],
)
async def test_settings_that_protect_nothing_are_refused(settings, message):
    """The scorer does not start with keys, an issuer or a certificate that protect nothing."""
    with pytest.raises(SettingsError, match=message):
        await serve(ScorerSettings(stream=False, http_port=0, **settings), asyncio.Event())


async def test_a_caller_above_its_limit_waits(serving, focus):
    """Above its limit of vehicles a caller gets 429 with Retry-After; others are served."""
    keys = {"api_keys": "one,two"}
    async with serving(vehicles_per_s=0.01, vehicles_burst=1_000, key={}, **keys) as http:
        body = {"vehicles": [focus] * 600}
        assert (await http.post(body, **bearer("one")))[0].status == 200
        problem = await http.refused(body, 429, **bearer("one"))
        assert problem["type"].endswith(":too-many-vehicles")
        response, _ = await http.post(body, **bearer("one"))
        assert int(response.headers["Retry-After"]) > 1_000
        assert (await http.post(body, **bearer("two")))[0].status == 200
