"""HTTP over TLS."""

import asyncio
import ssl

import pytest

from services.emulator.tls.certificate import own_certificate


def serial_of(der):
    from cryptography import x509  # noqa: PLC0415 - slow to import

    return x509.load_der_x509_certificate(der).serial_number


async def shown_certificate(port, ca):
    """The serial number of what a client that trusts `ca` is shown."""
    context = ssl.create_default_context(cafile=ca)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return serial_of(der)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return [own_certificate(tmp_path_factory.mktemp("tls"), "127.0.0.1") for _ in range(2)]


async def test_a_renewed_certificate_is_served_without_a_restart(serving, focus, tmp_path, certificates):
    """Prices come over TLS; once the files change, new connections see the new certificate."""
    old, new = certificates
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(old.chain.read_bytes())
    key.write_bytes(old.key.read_bytes())
    async with serving(tls_certificate=chain, tls_key=key) as http:
        context = ssl.create_default_context(cafile=old.ca)
        url = f"https://127.0.0.1:{http.port}/v1/prices"
        async with http.session.post(url, json=focus, ssl=context) as response:
            assert response.status == 200
        before = await shown_certificate(http.port, old.ca)
        key.write_bytes(new.key.read_bytes())  # for a moment the two do not fit: the old go on
        chain.write_bytes(new.chain.read_bytes())
        async with asyncio.timeout(60):
            while True:
                try:
                    after = await shown_certificate(http.port, new.ca)
                except ssl.SSLCertVerificationError:
                    continue
                break
    assert after != before
