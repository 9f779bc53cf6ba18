"""The keys with which an issuer signs tokens.

They are fetched at the start, then every half hour, and also when a token names an unknown key id. Keys that
could not be fetched again for most of an hour are not used: the issuer may have withdrawn them.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import jwt
import msgspec
from msgspec import Struct

from shared.http.problems import Refusal
from shared.service.addresses import is_loopback
from shared.service.errors import SettingsError
from shared.service.logs import log

ALGORITHM = "RS256"  # what Entra ID signs with
REFRESH_INTERVAL_S = 1_800.0
RETRY_INTERVAL_S = 60.0
# With the time for which a checked token is remembered (tokens.py), a withdrawn key ends within an hour.
MAX_AGE_S = 3_300.0
_TIMEOUT = aiohttp.ClientTimeout(total=5.0)
_MAX_BYTES = 1_048_576


class _Discovery(Struct):
    issuer: str
    jwks_uri: str


class _Keys(Struct):
    keys: list[dict[str, Any]]


class IssuerUnavailable(Exception):
    """The error that the issuer cannot be reached or does not answer with a valid set of keys."""


class SigningKeys:
    """The signing keys of one issuer, located by OpenID Connect discovery."""

    def __init__(
        self, issuer: str, interval_s: float, setting: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Make an empty set of keys. `clock` counts seconds.

        A token with an unknown key id makes the set fetch the keys again. Anyone can invent key ids, so such
        a fetch happens only if the last one began at least `interval_s` seconds ago. Raises SettingsError,
        naming `setting`, if the issuer is beyond loopback and its URL is not https.
        """
        if not _is_trusted(issuer):
            raise SettingsError(f"{setting}: {issuer} is no https URL")
        self._issuer = issuer
        self._interval_s = interval_s
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._clock = clock
        self._tried_at_s = self._fetched_at_s = float("-inf")
        self._fetching = asyncio.Lock()

    async def get(self, kid: str) -> jwt.PyJWK | None:
        """Return the key with id `kid`, or None if the issuer has no such key.

        Raises Refusal (503) if no keys of the issuer could be fetched within the last `MAX_AGE_S`.
        """
        if not self._is_stale and kid in self._keys:
            return self._keys[kid]
        async with self._fetching:  # many requests may need the same new key: one of them fetches it
            is_needed = self._is_stale or kid not in self._keys
            if is_needed and self._clock() - self._tried_at_s >= self._interval_s:
                await self._refresh()
        if self._is_stale:
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "issuer-silent",
                "the keys of the token's issuer cannot be had: try again",
                headers={"Retry-After": str(math.ceil(self._interval_s))},
            )
        return self._keys.get(kid)

    async def refresh_forever(self) -> None:
        """Fetch the keys now and then every half hour; after a failure, every minute."""
        while True:
            async with self._fetching:
                is_fetched = await self._refresh()
            await asyncio.sleep(REFRESH_INTERVAL_S if is_fetched else RETRY_INTERVAL_S)

    @property
    def _is_stale(self) -> bool:
        return self._clock() - self._fetched_at_s >= MAX_AGE_S

    async def _refresh(self) -> bool:
        """Fetch the keys. If the issuer is unavailable, log that, keep the old keys and return False."""
        began_s = self._tried_at_s = self._clock()
        try:
            self._keys = await _fetch(self._issuer)
        except IssuerUnavailable as error:
            log.warning("signing_keys_not_fetched", issuer=self._issuer, reason=str(error))
            return False
        self._fetched_at_s = began_s
        return True


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
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
