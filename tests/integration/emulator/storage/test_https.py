import asyncio
import contextlib
import ssl

import aiohttp
import pytest
from azure.core.exceptions import ServiceRequestError
from azure.storage.blob import BlobServiceClient
from azure.storage.filedatalake.aio import DataLakeServiceClient

from services.emulator.listener import Listener
from services.emulator.storage.server import WELL_KNOWN_KEY, StorageServer
from services.emulator.tls.certificate import own_certificate
from tests.support.embedded_stack import PATIENCE_S


@pytest.fixture
async def secured(tmp_path):
    certificate = own_certificate(tmp_path / "tls", "127.0.0.1")
    async with StorageServer(tmp_path, tls=certificate.server_context()) as storage:
        yield storage, certificate


def account_url(storage):
    return f"https://127.0.0.1:{storage.port}/devstoreaccount1"


async def test_http_and_https_share_one_port(secured):
    """Files written over https are read over http on the same port, large ones completely."""
    storage, certificate = secured
    body = bytes(range(256)) * 4096
    async with DataLakeServiceClient(
        account_url(storage), credential=WELL_KNOWN_KEY, connection_verify=str(certificate.ca)
    ) as service:
        file = service.get_file_client("lake", "a/b.bin")
        await file.upload_data(body, overwrite=True)
        assert await (await file.download_file()).readall() == body
    async with DataLakeServiceClient.from_connection_string(storage.connection_string) as service:
        assert await (await service.get_file_client("lake", "a/b.bin").download_file()).readall() == body


async def test_the_threaded_blob_sdk_comes_over_https(secured):
    """The synchronous SDK writes and reads over https."""
    storage, certificate = secured

    def write_and_read():
        with BlobServiceClient(
            account_url(storage), credential=WELL_KNOWN_KEY, connection_verify=str(certificate.ca)
        ) as service:
            blob = service.get_blob_client("checkpoints", "one")
            blob.upload_blob(b"1")
            assert blob.download_blob().readall() == b"1"

    await asyncio.to_thread(write_and_read)


async def test_who_trusts_another_authority_sends_nothing(secured, tmp_path):
    """A client that does not trust this emulator's ca.pem refuses the connection."""
    storage, _ = secured
    other = own_certificate(tmp_path / "other", "127.0.0.1")
    async with DataLakeServiceClient(
        account_url(storage), credential=WELL_KNOWN_KEY, connection_verify=str(other.ca), retry_total=0
    ) as service:
        with pytest.raises(ServiceRequestError, match="CERTIFICATE_VERIFY_FAILED"):
            await service.get_file_system_client("lake").get_file_client("x").create_file()


async def test_without_a_certificate_https_is_hung_up_on(tmp_path):
    """Without TLS, the connection of a TLS client is closed immediately."""
    async with StorageServer(tmp_path) as storage:
        with pytest.raises((ConnectionError, ssl.SSLError)):
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.open_connection("127.0.0.1", storage.port, ssl=ssl.create_default_context())


async def test_who_says_nothing_is_dropped_and_forgotten():
    """A silent connection is closed after `patience_s`, without delaying other clients."""
    listener = Listener(asyncio.Protocol, patience_s=0.2)
    await listener.open("127.0.0.1", 0)
    try:
        peers = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(20)]
        async with asyncio.timeout(PATIENCE_S):
            for reader, writer in peers:
                assert await reader.read() == b""
                writer.close()
        assert listener.unheard == 0
    finally:
        await listener.close()


async def test_what_has_not_spoken_yet_ends_with_the_server(tmp_path):
    """A silent connection, or half a TLS handshake, does not delay the server's end."""
    certificate = own_certificate(tmp_path / "tls", "127.0.0.1")
    async with asyncio.timeout(PATIENCE_S):
        async with StorageServer(tmp_path, tls=certificate.server_context()) as storage:
            silent, half = [await asyncio.open_connection("127.0.0.1", storage.port) for _ in range(2)]
            half[1].write(b"\x16\x03\x01")
            async with aiohttp.ClientSession() as session:
                await (await session.get(f"http://127.0.0.1:{storage.port}/")).read()
        for reader, writer in (silent, half):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
