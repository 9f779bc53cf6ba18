"""Signing keys and secrets of a data directory, each generated when it is first used."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

import msgspec

from shared.service.atomic_file import replace_file
from shared.service.errors import NeedsAttention
from shared.service.extras import needs_extra

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

ALGORITHM = "RS256"
_KEY_BITS = 2048
_PUBLIC_EXPONENT = 65_537


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An RSA key pair with its key id. `jwk` is the public part as a JSON Web Key."""

    private: "RSAPrivateKey"
    public: "RSAPublicKey"
    kid: str
    jwk: dict[str, Any]

    @property
    def tenant_id(self) -> str:
        """The tenant id. It derives from the key, so another key means another tenant."""
        return str(uuid5(NAMESPACE_URL, self.kid))


def load_or_create_signing_key(path: Path) -> SigningKey:
    """Load the key in the file `path`, or generate the key if there is no file.

    Raises NeedsAttention if the file holds no RSA key.
    """
    # Slow to import, and most emulators never issue a token.
    with needs_extra("a token of the emulator", "emulator"):
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415
        from jwt.algorithms import RSAAlgorithm  # noqa: PLC0415

    def make() -> bytes:
        return rsa.generate_private_key(_PUBLIC_EXPONENT, _KEY_BITS).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    try:
        private = serialization.load_pem_private_key(load_or_create_secret(path, make), password=None)
    except ValueError as exc:
        raise NeedsAttention(f"{path} holds no signing key: delete it to get a new one") from exc
    if not isinstance(private, rsa.RSAPrivateKey):
        raise NeedsAttention(f"{path} holds no RSA key: delete it to get a new one")
    public = private.public_key()
    jwk = RSAAlgorithm.to_jwk(public, as_dict=True)
    kid = jwk_thumbprint(jwk["e"], jwk["n"])
    published = {"kty": "RSA", "use": "sig", "alg": ALGORITHM, "kid": kid, "e": jwk["e"], "n": jwk["n"]}
    return SigningKey(private, public, kid, published)


def jwk_thumbprint(e: str, n: str) -> str:
    """Return the thumbprint (RFC 7638) of an RSA key with exponent `e` and modulus `n`, in hexadecimal."""
    return hashlib.sha256(msgspec.json.encode({"e": e, "kty": "RSA", "n": n})).hexdigest()


def load_or_create_secret(path: Path, make: Callable[[], bytes]) -> bytes:
    """Read the secret in the file `path`, or create it with `make`. Only the owner can read the file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = make()
    replace_file(path, secret, mode=0o600, is_durable=True)
    return secret
