"""A certificate authority that signs one server certificate and is discarded. No I/O.

Import it late: `cryptography` takes a tenth of a second to import.
"""

import ipaddress
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

VALIDITY = timedelta(days=825)  # the longest validity that every platform accepts
RENEWAL = timedelta(days=30)
_PEM = serialization.Encoding.PEM


class SignedCertificate(NamedTuple):
    """Certificates and key in PEM. `chain` is the server's certificate followed by the authority's."""

    ca: bytes
    chain: bytes
    key: bytes


def issue_certificate(names: Iterable[str], now: datetime) -> SignedCertificate:
    """Issue a certificate for host names and addresses, signed by a new authority."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = _x509_name("fleetprice emulator, local authority")
    authority_id = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = (
        _start_builder(issuer, issuer, authority_key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(authority_id, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    leaf = (
        _start_builder(_x509_name("fleetprice emulator"), issuer, key, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.OID_SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([*map(_general_name, names)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_id), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    key_pem = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return SignedCertificate(
        authority.public_bytes(_PEM), leaf.public_bytes(_PEM) + authority.public_bytes(_PEM), key_pem
    )


def is_usable(chain: bytes, names: Iterable[str], now: datetime) -> bool:
    """Return whether the certificate covers `names` and is valid for longer than `RENEWAL`."""
    try:
        leaf = x509.load_pem_x509_certificate(chain)
        covered = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    return leaf.not_valid_after_utc - now > RENEWAL and {*map(_general_name, names)} <= {*covered}


def _start_builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
    # The clock of a client in a container or a virtual machine may be a little behind.
    begins_at = now - timedelta(hours=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins_at)
        .not_valid_after(begins_at + VALIDITY)
    )


def _x509_name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.OID_COMMON_NAME, common_name)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
