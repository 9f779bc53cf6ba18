"""HTTP over TLS."""

import asyncio
import ssl

import pytest

from services.emulator.tls.certificate import own_certificate
from tests.support.notes_app import NOTE


def serial_of(der):
    from cryptography import x509  # noqa: PLC0415 - slow to import

    return x509.load_der_x509_certificate(der).serial_number


async def shown_certificate(port, ca):
    """Return the serial number of the certificate that a client which trusts `ca` gets."""
    context = ssl.create_default_context(cafile=ca)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return serial_of(der)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return [own_certificate(tmp_path_factory.mktemp("tls"), "127.0.0.1") for _ in range(2)]


async def test_a_renewed_certificate_is_served_without_a_restart(serving, tmp_path, certificates):
    """Answers come over TLS; once the files change, new connections get the new certificate."""
    old, new = certificates
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(old.chain.read_bytes())
    key.write_bytes(old.key.read_bytes())
    async with serving(tls_certificate=chain, tls_key=key) as http:
        context = ssl.create_default_context(cafile=old.ca)
        url = f"https://127.0.0.1:{http.port}/notes"
        async with http.session.post(url, json=NOTE, ssl=context) as response:
            assert response.status == 200
        before = await shown_certificate(http.port, old.ca)
        key.write_bytes(new.key.read_bytes())  # for a moment the two do not fit: the old ones stay in use
        chain.write_bytes(new.chain.read_bytes())
        async with asyncio.timeout(60):
            while True:
                try:
                    after = await shown_certificate(http.port, new.ca)
                except ssl.SSLCertVerificationError:
                    continue
                break
    assert after != before
