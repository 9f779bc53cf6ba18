"""The embedded Azure with TLS and identities, and the environment for DefaultAzureCredential."""

import gc
import warnings
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp
import pytest

from services.emulator.admin.server import AdminServer
from services.emulator.event_hubs.endpoints import TlsEndpoint
from services.emulator.event_hubs.server import EventHubsServer
from services.emulator.identity.issuer import Issuer
from services.emulator.storage.server import StorageServer
from services.emulator.tls.certificate import own_certificate


@dataclass(frozen=True)
class Azure:
    """The environment of a program, and the issuer behind it."""

    hub: EventHubsServer
    tls_port: int
    storage: StorageServer
    issuer: Issuer
    ca: str

    @property
    def account_url(self):
        return f"https://127.0.0.1:{self.storage.port}/devstoreaccount1"

    @property
    def environment(self):
        """The variables that App Service sets."""
        return {"IDENTITY_ENDPOINT": self.issuer.endpoint, "IDENTITY_HEADER": self.issuer.header}

    def namespace(self, **options):
        """Arguments that give the Event Hubs SDK another port than 5671 and our certificate."""
        return {
            "fully_qualified_namespace": "127.0.0.1",
            "custom_endpoint_address": f"sb://127.0.0.1:{self.tls_port}",
            "connection_verify": self.ca,
            **options,
        }

    async def ask(self, method, path, *, header=None, **options):
        """Send a request with the secret, or another one, to the admin listener. Returns status and JSON."""
        headers = {"X-IDENTITY-HEADER": self.issuer.header if header is None else header}
        url = f"{self.issuer.name}{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, headers=headers, **options) as response,
        ):
            return response.status, (await response.json() if response.content_length else None)


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    """Keys and certificates, generated once because that is slow."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
async def azure(kept, tmp_path, monkeypatch):
    certificate = own_certificate(kept / "tls", "127.0.0.1")
    tls = certificate.server_context()
    issuer = Issuer(kept)
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(EventHubsServer(tmp_path, issuer=issuer))
        endpoint = await stack.enter_async_context(TlsEndpoint(hub, tls))
        storage = await stack.enter_async_context(StorageServer(tmp_path, issuer=issuer, tls=tls))
        await stack.enter_async_context(AdminServer(hub, storage, issuer=issuer))
        azure = Azure(hub, endpoint.port, storage, issuer, str(certificate.ca))
        for name, value in azure.environment.items():
            monkeypatch.setenv(name, value)
        yield azure
    # The SDK leaves the socket of a connection that the server closed to the collector, which would complain
    # in whatever test it happens to run.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
