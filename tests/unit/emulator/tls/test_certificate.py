import ssl
from datetime import UTC, datetime, timedelta

import pytest

from services.emulator.tls.certificate import Certificate, own_certificate
from shared.service.errors import SettingsError


def shake_hands(certificate, name, ca=None):
    """Raise ssl.SSLError if a client that trusts `ca` does not accept the certificate for `name`."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    trusting = ssl.create_default_context(cafile=ca or certificate.ca)
    client = trusting.wrap_bio(to_client, to_server, server_hostname=name)
    server = certificate.server_context().wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, server]
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                pass


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "10.1.2.3"])
def test_a_client_that_trusts_the_ca_accepts_every_name(tmp_path, name):
    """The certificate covers loopback's names and the address listened on."""
    shake_hands(own_certificate(tmp_path / "tls", "10.1.2.3"), name)


def test_another_name_is_not_accepted(tmp_path):
    """The certificate is refused for any other name."""
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(own_certificate(tmp_path / "tls", "127.0.0.1"), "example.com")


def test_it_is_kept_between_starts(tmp_path):
    """A later start reuses the certificate, so clients can keep trusting it."""
    first = own_certificate(tmp_path / "tls", "127.0.0.1").ca.read_bytes()
    assert own_certificate(tmp_path / "tls", "localhost").ca.read_bytes() == first


def test_only_its_owner_reads_the_key(tmp_path):
    """Only the owner can read the server's key, and the authority's key is in no file."""
    certificate = own_certificate(tmp_path / "tls", "127.0.0.1")
    assert certificate.key.stat().st_mode & 0o777 == 0o600
    holding_keys = [path.name for path in (tmp_path / "tls").iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    assert holding_keys == ["server.key"]


def test_it_is_renewed_a_month_before_its_end(tmp_path):
    """The certificate is renewed less than a month before its expiry, and not earlier."""
    issued_at = datetime.now(UTC)
    first = own_certificate(tmp_path / "tls", "127.0.0.1", now=issued_at).ca.read_bytes()
    late = issued_at + timedelta(days=825 - 32)
    assert own_certificate(tmp_path / "tls", "127.0.0.1", now=late).ca.read_bytes() == first
    assert (
        own_certificate(tmp_path / "tls", "127.0.0.1", now=late + timedelta(days=3)).ca.read_bytes() != first
    )


@pytest.mark.parametrize("lost", ["ca.pem", "server.pem", "server.key"])
def test_what_is_lost_or_broken_is_made_again(tmp_path, lost):
    """If a file is missing or damaged, or the host changes, all files are generated again."""
    own_certificate(tmp_path / "tls", "127.0.0.1")
    (tmp_path / "tls" / lost).unlink()
    shake_hands(own_certificate(tmp_path / "tls", "127.0.0.1"), "127.0.0.1")
    (tmp_path / "tls" / "server.pem").write_text("broken")
    shake_hands(own_certificate(tmp_path / "tls", "127.0.0.1"), "127.0.0.1")
    shake_hands(own_certificate(tmp_path / "tls", "10.9.8.7"), "10.9.8.7")


def test_a_certificate_without_its_key_is_refused(tmp_path):
    """The user's own files are refused, in one line, if they do not belong together."""
    one, two = (own_certificate(tmp_path / name, "127.0.0.1") for name in ("one", "two"))
    with pytest.raises(SettingsError, match="no certificate with its key"):
        Certificate(one.ca, one.chain, two.key).server_context()
