"""The keys with which an issuer signs tokens.

They are fetched at the start, then every hour, and also when a token names an unknown key id.
"""

import asyncio
import math
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import jwt
import msgspec
from msgspec import Struct

from shared.http.problems import Refusal
from shared.service.errors import SettingsError
from shared.service.logs import log

ALGORITHM = "RS256"  # what Entra ID signs with
REFRESH_INTERVAL_S = 3_600.0
_TIMEOUT = aiohttp.ClientTimeout(total=5.0)
_MAX_BYTES = 1_048_576
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class _Discovery(Struct):
    issuer: str
    jwks_uri: str


class _Keys(Struct):
    keys: list[dict[str, Any]]


class IssuerUnavailable(Exception):
    """The error that the issuer cannot be reached or does not answer with a valid set of keys."""


class SigningKeys:
    """The signing keys of one issuer, located by OpenID Connect discovery."""

    def __init__(self, issuer: str, interval_s: float, setting: str) -> None:
        """Make an empty set of keys.

        A token with an unknown key id makes the set fetch the keys again. Anyone can invent key ids, so such
        a fetch happens only if the last one began at least `interval_s` seconds ago. Raises SettingsError,
        naming `setting`, if the issuer is beyond loopback and its URL is not https.
        """
        if not _is_trusted(issuer):
            raise SettingsError(f"{setting}: {issuer} is no https URL")
        self._issuer = issuer
        self._interval_s = interval_s
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched_at_s = float("-inf")
        self._fetching = asyncio.Lock()

    async def get(self, kid: str) -> jwt.PyJWK | None:
        """Return the key with id `kid`, or None if the issuer has no such key.

        Raises Refusal (503) if no keys of the issuer could be fetched so far.
        """
        key = self._keys.get(kid)
        if key is not None:
            return key
        async with self._fetching:  # many requests may need the same new key: one of them fetches it
            if kid not in self._keys and time.monotonic() - self._fetched_at_s >= self._interval_s:
                await self._refresh()
        if not self._keys:
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "issuer-silent",
                "the keys of the token's issuer cannot be had: try again",
                headers={"Retry-After": str(math.ceil(self._interval_s))},
            )
        return self._keys.get(kid)

    async def refresh_forever(self) -> None:
        """Fetch the keys now and then every hour.

        A key that the issuer withdraws is therefore accepted for at most an hour if the fetches succeed.
        """
        while True:
            async with self._fetching:
                await self._refresh()
            await asyncio.sleep(REFRESH_INTERVAL_S)

    async def _refresh(self) -> None:
        """Fetch the keys. If the issuer is unavailable, log that and keep the old keys."""
        self._fetched_at_s = time.monotonic()
        try:
            self._keys = await _fetch(self._issuer)
        except IssuerUnavailable as error:
            log.warning("signing_keys_not_fetched", issuer=self._issuer, reason=str(error))


async def _fetch(issuer: str) -> dict[str, jwt.PyJWK]:
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    try:
        async with aiohttp.ClientSession(timeout=_TIMEOUT, raise_for_status=True) as session:
            discovery = msgspec.json.decode(await _read(session, url), type=_Discovery)
            if discovery.issuer != issuer or not _is_trusted(discovery.jwks_uri):
                raise IssuerUnavailable(f"{url} names another issuer, or keys without TLS")
            keys = msgspec.json.decode(await _read(session, discovery.jwks_uri), type=_Keys).keys
    except (aiohttp.ClientError, TimeoutError, OSError, msgspec.MsgspecError) as error:
        raise IssuerUnavailable(repr(error)) from error
    return {key["kid"]: made for key in keys if (made := _parse_key(key)) is not None}


async def _read(session: aiohttp.ClientSession, url: str) -> bytes:
    async with session.get(url, allow_redirects=False) as response:
        body = await response.content.read(_MAX_BYTES + 1)
        while len(body) <= _MAX_BYTES and (more := await response.content.readany()):
            body += more
        if len(body) > _MAX_BYTES:
            raise IssuerUnavailable(f"{url} answers more than {_MAX_BYTES} bytes")
        return body


def _parse_key(published: Mapping[str, Any]) -> jwt.PyJWK | None:
    """Return the published key, or None if it is not an RSA signing key with an id.

    An issuer may publish keys of other kinds as well.
    """
    if published.get("kty") != "RSA" or published.get("use", "sig") != "sig" or "kid" not in published:
        return None
    try:
        return jwt.PyJWK(dict(published), ALGORITHM)
    except jwt.PyJWTError:
        return None


def _is_trusted(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
