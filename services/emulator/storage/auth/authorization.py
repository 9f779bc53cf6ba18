"""Authorization of requests by one of: the account's key (SharedKey), an identity's token, or a SAS."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from services.emulator.identity.claims import Caller
from services.emulator.identity.issuer import Issuer
from services.emulator.storage.auth import bearer
from services.emulator.storage.auth.shared_access import check_shared_access
from services.emulator.storage.auth.user_delegation import DelegationKeys
from services.emulator.storage.model.entries import StoredPolicy
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.wire.request import (
    SIGNED_HEADERS,
    StorageRequest,
    parse_http_date,
    parse_source,
)
from services.emulator.storage.wire.routing import Dialect, Operation

MAX_CLOCK_SKEW_S = 15 * 60


class Authorization:
    """Authorization of requests to the one account, by its key, its stored policies and the token issuer."""

    def __init__(
        self,
        account: str,
        key: str,
        issuer: Issuer | None = None,
        policies: Callable[[str], Sequence[StoredPolicy]] = lambda _container: (),
        is_there: Callable[[str, str], bool] = lambda _container, _path: False,
    ) -> None:
        """Make it for the account. `policies` gives a container's stored policies.

        `is_there` says whether a container has something at a path.
        """
        self._account = account
        self._policies = policies
        self._is_there = is_there
        self._issuer = issuer
        self._key = base64.b64decode(key, validate=True)
        self.delegation = DelegationKeys(self.sign)

    def check(self, request: StorageRequest, operation: Operation, now_s: float) -> Caller | None:
        """Check that the request may perform the operation. Return the caller of a bearer token, else None.

        Raises Refused if the request has no credentials, or if they do not allow the operation.
        """
        if (authorization := request.headers.get("Authorization")) is not None:
            scheme, _, credential = authorization.partition(" ")
            if scheme == bearer.SCHEME:
                caller = bearer.authenticate(self._issuer, request, credential)
                bearer.check_roles(caller, operation)
                return caller
            self._check_shared_key(request, scheme, credential, now_s)
        elif "sig" in request.query:
            for target, needed in (request, operation), *_source_operations(request):
                check_shared_access(
                    target,
                    needed,
                    self.sign,
                    self.delegation,
                    self._policies(target.container),
                    now_s,
                    is_there=self._is_there(target.container, target.path),
                )
        else:
            raise Refused("NoAuthenticationInformation")
        return None

    def sign(self, text: str) -> str:
        """Return the HMAC-SHA256 of a text under the account's key, in base64."""
        digest = hmac.new(self._key, text.encode(errors="surrogateescape"), hashlib.sha256).digest()
        return base64.b64encode(digest).decode()

    def _check_shared_key(self, request: StorageRequest, scheme: str, credential: str, now_s: float) -> None:
        account, _, signature = credential.partition(":")
        if scheme != "SharedKey" or not signature:
            raise Refused("InvalidAuthenticationInfo")
        _check_clock(request.headers, now_s)
        # Clients sort header names that differ in hyphens and underscores differently.
        for order in (str, _service_sort_key):
            expected = self.sign(string_to_sign(request, self._account, order))
            if account == self._account and _is_same_signature(signature, expected):
                return
        raise Refused("AuthenticationFailed")


def _source_operations(request: StorageRequest) -> Iterator[tuple[StorageRequest, Operation]]:
    """Yield the source of a rename or copy with the operation that it must allow.

    The source is authorized by the SAS in its own URL if there is one, else by the request's SAS.
    """
    for header, permissions, together in (("x-ms-rename-source", "m", "wd"), ("x-ms-copy-source", "r", "")):
        if (source := request.headers.get(header)) is not None:
            container, path, query = parse_source(source, request.account)
            token = query if "sig" in query else request.query
            target = replace(request, container=container, path=path, query=token)
            yield target, Operation("source", Dialect.BLOB, "o", permissions, together)


def string_to_sign(
    request: StorageRequest, account: str, order: Callable[[str], str | tuple[str, str]] = str
) -> str:
    """Return the text that SharedKey signs. `order` is the sort key for the names of the `x-ms-` headers."""
    headers = request.headers
    lines = [request.method]
    for name in SIGNED_HEADERS:
        value = headers.get(name, "")
        if (name == "content-length" and value == "0") or (name == "date" and "x-ms-date" in headers):
            value = ""
        lines.append(value)
    own = {name.lower(): value for name, value in headers.items() if name.lower().startswith("x-ms-")}
    lines.extend(f"{name}:{own[name].strip()}" for name in sorted(own, key=order))
    lines.append(f"/{account}{request.raw_path}")
    lines.extend(f"{name}:{value}" for name, value in sorted(request.query.items()))
    return "\n".join(lines)


def _service_sort_key(name: str) -> tuple[str, str]:
    """Return the service's sort key of a header name: hyphens count last, and `_` sorts before any digit."""
    return name.replace("-", "").replace("_", "!"), name


def _check_clock(headers: Mapping[str, str], now_s: float) -> None:
    name = "x-ms-date" if "x-ms-date" in headers else "Date"
    if (value := headers.get(name)) is None:
        raise Refused("AuthenticationFailed", detail="neither x-ms-date nor Date is given")
    skew_s = abs((parse_http_date(value, name) - datetime.fromtimestamp(now_s, UTC)).total_seconds())
    if skew_s > MAX_CLOCK_SKEW_S:
        raise Refused("AuthenticationFailed", detail=f"Request date header too old: '{value}'")


def _is_same_signature(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(errors="surrogateescape"), right.encode())
