"""User delegation keys. An identity with such a key can sign SAS tokens that grant its own permissions."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from xml.etree.ElementTree import ParseError, fromstring
from xml.sax.saxutils import escape

from services.emulator.identity.claims import Caller
from services.emulator.storage.auth import bearer
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.wire.request import StorageRequest
from services.emulator.storage.wire.response import XML, Response
from services.emulator.storage.wire.upload import read_small_body
from services.emulator.storage.wire.xml import encode_xml

MAX_LIFETIME = timedelta(days=7)
_MAX_BODY_BYTES = 4096
_SERVICE = "b"
_KEY_FIELDS = ("skoid", "sktid", "skt", "ske", "sks", "skv")
# Overrides of response headers, the last lines of every signed text.
RESPONSE_HEADERS = ("rscc", "rscd", "rsce", "rscl", "rsct")
# Versions that added lines to the signed text.
_AUTHORIZED_USERS_SINCE = "2020-02-10"
ENCRYPTION_SCOPE_SINCE = "2020-12-06"
_DELEGATED_USERS_SINCE = "2025-07-05"
_UNSUPPORTED = {"si", "srh", "srq", "sduoid", "skdutid"}


class DelegationKeys:
    """Issuer and verifier of user delegation keys. No key is stored: each can be derived again.

    A key derives from the account's key, the identity that owns the key, and the validity. It also derives
    from the owner's permissions, so that a SAS never allows more than its signer was allowed.
    """

    def __init__(self, sign: Callable[[str], str]) -> None:
        """Prepare to derive keys with `sign`, which signs a text with the account's key."""
        self._sign = sign

    async def get_user_delegation_key(
        self, request: StorageRequest, caller: Caller | None, now_s: float
    ) -> Response:
        """Issue a key to `caller`. Raises AuthenticationFailed if `caller` is None or has no storage role."""
        permissions = None if caller is None else bearer.collect_permissions(caller)
        if caller is None or permissions is None:
            raise Refused("AuthenticationFailed", detail="Only authentication scheme Bearer is supported.")
        start, expiry = _parse_validity(await read_small_body(request, _MAX_BODY_BYTES), now_s)
        about = {
            "SignedOid": caller.object_id,
            "SignedTid": caller.tenant_id,
            "SignedStart": start,
            "SignedExpiry": expiry,
            "SignedService": _SERVICE,
            "SignedVersion": request.headers.get("x-ms-version", ""),
        }
        about["Value"] = self._derive_key(list(about.values()), permissions)
        nodes = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in about.items())
        body = encode_xml(f"<UserDelegationKey>{nodes}</UserDelegationKey>")
        return Response(200, {"Content-Type": XML}, body)

    def find_signer_permissions(self, token: Mapping[str, str], texts: list[str]) -> frozenset[str]:
        """Return the permissions of the key that signed one of `texts`.

        Raises AuthenticationFailed if the token's signature matches none of them.
        """
        fields = [token.get(name, "") for name in _KEY_FIELDS]
        signature = token["sig"].encode(errors="surrogateescape")
        for permissions in bearer.PERMISSIONS.values():
            key = base64.b64decode(self._derive_key(fields, permissions))
            for text in texts:
                signed = base64.b64encode(hmac.digest(key, text.encode(), hashlib.sha256))
                if hmac.compare_digest(signature, signed):
                    return permissions
        raise Refused("AuthenticationFailed", detail="Signature did not match")

    def _derive_key(self, fields: list[str], permissions: frozenset[str]) -> str:
        return self._sign("\n".join(["user-delegation-key", *fields, "".join(sorted(permissions))]))


def delegated_strings_to_sign(token: Mapping[str, str], resource: str) -> list[str]:
    """Return the texts that may have been signed, of which the signature must match one.

    There can be two, because Azure has not published which version added the last two lines.
    Raises AuthenticationFailed if the signature is bound to headers, parameters or another user's token,
    which the emulator does not support.
    """
    if unsupported := token.keys() & _UNSUPPORTED:
        raise Refused(
            "AuthenticationFailed", detail=f"{', '.join(sorted(unsupported))} cannot be checked here"
        )
    version = token.get("sv", "")
    names = [*_KEY_FIELDS]
    if version >= _AUTHORIZED_USERS_SINCE:
        names += ["saoid", "suoid", "scid"]
    if version >= _DELEGATED_USERS_SINCE:
        names += ["skdutid", "sduoid"]
    names += ["sip", "spr", "sv", "sr", "snapshot"]
    if version >= ENCRYPTION_SCOPE_SINCE:
        names.append("ses")
    lines = [token.get(name, "") for name in ("sp", "st", "se")] + [resource]
    lines += [token.get(name, "") for name in names]
    overrides = [token.get(name, "") for name in RESPONSE_HEADERS]
    bound = [[], ["", ""]] if version >= _DELEGATED_USERS_SINCE else [[]]
    return ["\n".join([*lines, *ending, *overrides]) for ending in bound]


def _parse_validity(document: bytes, now_s: float) -> tuple[str, str]:
    """Parse a key's start and expiry, and format both as the service does: whole seconds, UTC."""
    if b"<!" in document:  # entities: a small document could expand to gigabytes
        raise Refused("InvalidXmlDocument")
    try:
        root = fromstring(document)  # noqa: S314 - entities were refused above
    except ParseError as exc:
        raise Refused("InvalidXmlDocument") from exc
    values = {node.tag: (node.text or "").strip() for node in root}
    if root.tag != "KeyInfo" or not values.keys() <= {"Start", "Expiry"}:
        raise Refused("InvalidXmlDocument")
    now = datetime.fromtimestamp(now_s, UTC)
    start = _parse_time(values["Start"]) if values.get("Start") else now
    expiry = _parse_time(values.get("Expiry", ""))
    if not (now < expiry <= now + MAX_LIFETIME and start < expiry):
        raise Refused("InvalidXmlNodeValue", detail="a key expires within seven days")
    return f"{start:%Y-%m-%dT%H:%M:%SZ}", f"{expiry:%Y-%m-%dT%H:%M:%SZ}"


def _parse_time(text: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as exc:
        raise Refused("InvalidXmlNodeValue") from exc
    return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
