"""Shared access signatures: the keys, and what a signed token allows and until when."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote_plus

from shared.amqp.application import AuthenticationFailed

LISTEN = "Listen"
SEND = "Send"
MANAGE = "Manage"
SCHEME = "SharedAccessSignature "
TOKEN_TYPE = "servicebus.windows.net:sastoken"  # noqa: S105  # the name of the token's type
DEVELOPMENT_KEY_NAME = "RootManageSharedAccessKey"
DEVELOPMENT_KEY = "SAS_KEY_VALUE"  # the well-known key of Microsoft's emulator


class TokenRefused(AuthenticationFailed):
    """The token is invalid; the error's message says why."""


class EntityUnknown(AuthenticationFailed):
    """The token is for a hub that does not exist; the error's message is the service's."""

    status = 404


@dataclass(frozen=True, slots=True)
class SharedKey:
    """A named key for everything under `scope`.

    `scope` is a path of hub, group and partition; "" means the whole namespace.
    """

    name: str
    value: str
    claims: frozenset[str] = frozenset({LISTEN, SEND, MANAGE})
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """Claims on everything under `scope`, valid until a given time."""

    scope: str
    claims: frozenset[str]
    expires_at_s: float
    key: SharedKey | None = None  # that signed the token; None for a JSON web token

    def covers(self, path: str, claim: str, now_s: float) -> bool:
        return claim in self.claims and now_s < self.expires_at_s and is_within(path, self.scope)

    def reaches_hub(self, hub: str, now_s: float) -> bool:
        """Return whether the grant covers any part of the hub.

        That is enough to read the hub's properties.
        """
        is_in_force = bool(self.claims) and now_s < self.expires_at_s
        return is_in_force and self.scope.split("/")[0] in {"", hub.lower()}


class KeyRing:
    """The keys of the namespace, and the current keys of single hubs."""

    def __init__(
        self, keys: Iterable[SharedKey], keys_of_hubs: Callable[[], Iterable[SharedKey]] = tuple
    ) -> None:
        self._keys = tuple(keys)
        self._keys_of_hubs = keys_of_hubs

    def __iter__(self) -> Iterator[SharedKey]:
        yield from self._keys
        yield from self._keys_of_hubs()

    def holds(self, key: SharedKey) -> bool:
        return any(key == held for held in self)

    def grant(self, token: str, audience: str, now_s: float) -> Grant:
        """Return what a signed token allows for `audience`.

        Raises TokenRefused if the token is malformed, wrongly signed, expired, or made for another audience.
        """
        parts = dict(part.partition("=")[::2] for part in token.removeprefix(SCHEME).split("&"))
        if not {"sr", "sig", "se", "skn"} <= parts.keys() or not parts["se"].isdecimal():
            raise TokenRefused("MalformedToken: the token lacks sr, sig, se or skn.")
        resource = unquote_plus(parts["sr"])
        key = self._signing_key(parts, path_of(resource))
        expires_at_s = float(parts["se"])
        if now_s >= expires_at_s:
            raise TokenRefused("ExpiredToken: The token is expired.")
        if host_of(resource) != host_of(audience) or not is_within(path_of(audience), path_of(resource)):
            raise TokenRefused(
                "InvalidAudience: The authorization header contains a token with the wrong audience."
            )
        return Grant(path_of(audience), key.claims, expires_at_s, key)

    def _signing_key(self, parts: dict[str, str], resource_path: str) -> SharedKey:
        # The Python SDK (5.15.1) quotes the key's name twice.
        names = {unquote_plus(parts["skn"]), unquote_plus(unquote_plus(parts["skn"]))}
        given = unquote_plus(parts["sig"]).encode()
        for key in self:
            if key.name in names and is_within(resource_path, key.scope):
                signed = hmac.digest(
                    key.value.encode(), f"{parts['sr']}\n{parts['se']}".encode(), hashlib.sha256
                )
                if hmac.compare_digest(base64.b64encode(signed), given):
                    return key
        raise TokenRefused("InvalidSignature: The token has an invalid signature.")

    def plain_grant(self, name: str, password: str) -> Grant:
        """Return what a key allows, given its name and value as sent by SASL PLAIN.

        Raises TokenRefused if there is no such key.
        """
        for key in self:
            if key.name == name and hmac.compare_digest(key.value.encode(), password.encode()):
                return Grant(key.scope, key.claims, float("inf"), key)
        raise TokenRefused("the key is not known")


def path_of(uri: str) -> str:
    """Return the path of a URI in lower case, because names are compared without case.

    For example, `sb://host:port/Hub/x/` becomes `hub/x`.
    """
    return _without_scheme(uri).partition("/")[2].strip("/").lower()


def host_of(uri: str) -> str:
    return _without_scheme(uri).partition("/")[0].partition(":")[0].lower()


def _without_scheme(uri: str) -> str:
    return uri.rpartition("://")[2]


def is_within(path: str, scope: str) -> bool:
    path, scope = path.lower(), scope.lower()
    return not scope or path == scope or path.startswith(scope + "/")
