"""The issuer of the emulator's tokens, which also verifies them."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

import msgspec

from services.emulator.identity.claims import (
    SYSTEM_ASSIGNED,
    Caller,
    Flaw,
    Principal,
    TokenInvalid,
    build_claims,
    check_claims,
)
from services.emulator.identity.keys import (
    ALGORITHM,
    SigningKey,
    load_or_create_secret,
    load_or_create_signing_key,
)
from services.emulator.identity.roles import DEFAULT_ROLES, Role

LIFETIME_S = 24 * 3600  # as long as a managed identity's token lives in Azure
_MAX_LIFETIME_S = 2**31  # 68 years
# Storage clients send the same token thousands of times; its signature is verified once.
_MAX_CACHED_TOKENS = 256


class Assignment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Roles and lifetime of one identity's tokens. With a negative lifetime, tokens are issued expired."""

    roles: tuple[Role, ...] = DEFAULT_ROLES
    expires_in_s: Annotated[int, msgspec.Meta(ge=-_MAX_LIFETIME_S, le=_MAX_LIFETIME_S)] = LIFETIME_S


class IssuedToken(msgspec.Struct, frozen=True):
    """The response of App Service's identity endpoint, in which `expires_on` is a string."""

    access_token: str
    expires_on: str
    resource: str
    client_id: str
    token_type: str = "Bearer"  # noqa: S105  # the name of the scheme


class Issuer:
    """Issuer of tokens for one data directory, which holds its signing key and its secret for requests."""

    def __init__(self, data_dir: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._directory = data_dir / "identity"
        self._clock = clock
        self._url = ""
        self._key: SigningKey | None = None
        self._key_lock = Lock()
        self._assignments: dict[str, Assignment] = {}
        self._verified: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def set_base_url(self, url: str) -> None:
        """Set the base URL, from which every token's `iss` claim derives."""
        self._url = f"{url}/identity"

    @property
    def name(self) -> str:
        """The `iss` claim of every token."""
        return self._url

    @property
    def endpoint(self) -> str:
        """The value for the environment variable IDENTITY_ENDPOINT of client programs."""
        return f"{self._url}/token"

    @cached_property
    def header(self) -> str:
        """The value for the environment variable IDENTITY_HEADER: a secret with which callers get tokens."""
        return (
            load_or_create_secret(self._directory / "header", lambda: secrets.token_hex(16).encode())
            .decode()
            .strip()
        )

    def key(self) -> SigningKey:
        """Return the signing key. The first call may take a tenth of a second. Thread-safe."""
        with self._key_lock:
            if self._key is None:
                self._key = load_or_create_signing_key(self._directory / "signing-key.pem")
            return self._key

    def assign(self, name: str, assignment: Assignment) -> None:
        """Set roles and lifetime of the tokens that are issued to the identity `name` from now on."""
        self._assignments[name.lower()] = assignment

    def unassign(self, name: str) -> None:
        """Reset the identity `name` to the default roles and lifetime, for tokens issued from now on."""
        self._assignments.pop(name.lower(), None)

    def issue(
        self, resource: str, name: str = SYSTEM_ASSIGNED, assignment: Assignment | None = None
    ) -> IssuedToken:
        """Issue a token for `resource` to the identity `name`.

        Roles and lifetime are those of `assignment`, else those set with `assign`, else the defaults.
        """
        key = self.key()  # first: without its packages, its error names their extra
        import jwt  # noqa: PLC0415 - slow to import, and most emulators never issue a token

        assigned = assignment or self._assignments.get(name.lower(), Assignment())
        principal = Principal.from_name(key.tenant_id, name)
        claims = build_claims(
            principal,
            issuer=self.name,
            audience=resource,
            roles=assigned.roles,
            issued_at_s=int(self._clock()),
            lifetime_s=assigned.expires_in_s,
        )
        token = jwt.encode(claims, key.private, ALGORITHM, headers={"kid": key.kid})
        return IssuedToken(token, str(claims["exp"]), resource, principal.client_id)

    def verify(self, token: str, audiences: Collection[str]) -> Caller:
        """Verify a token of this issuer for one of `audiences`, and return its caller.

        Raises TokenInvalid if the token was not signed here, is for another audience, or is not in force.
        """
        claims = self._verified.get(token)
        if claims is None:
            claims = self._decode_signed(token)
            self._verified[token] = claims
            if len(self._verified) > _MAX_CACHED_TOKENS:
                self._verified.popitem(last=False)
        return check_claims(claims, issuer=self.name, audiences=audiences, now_s=self._clock())

    def discovery(self) -> Mapping[str, Any]:
        """Return the OpenID Connect discovery document, with the fields that apply to the emulator."""
        return {
            "issuer": self.name,
            "jwks_uri": f"{self.name}/keys",
            "token_endpoint": self.endpoint,
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "claims_supported": ["aud", "iss", "iat", "nbf", "exp", "appid", "oid", "sub", "tid", "roles"],
        }

    def _decode_signed(self, token: str) -> dict[str, Any]:
        key = self.key()  # first: without its packages, its error names their extra
        import jwt  # noqa: PLC0415 - slow to import, and most emulators never see a token

        try:
            if jwt.get_unverified_header(token).get("kid") != key.kid:
                raise TokenInvalid(Flaw.SIGNATURE)
            # `verify` checks times, issuer and audience on each call; the signature is cached.
            return jwt.decode(token, key.public, algorithms=[ALGORITHM], options=_SIGNATURE_ONLY)
        except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError) as exc:
            raise TokenInvalid(Flaw.SIGNATURE) from exc
        except jwt.InvalidTokenError as exc:
            raise TokenInvalid(Flaw.MALFORMED) from exc


_SIGNATURE_ONLY: Any = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}
