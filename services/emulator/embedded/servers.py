"""The servers of an emulator inside a test, all on one event loop."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from services.emulator.admin.server import AdminServer
from services.emulator.event_hubs.declared_hubs import DeclaredHub
from services.emulator.event_hubs.endpoints import TlsEndpoint
from services.emulator.event_hubs.server import EventHubsServer
from services.emulator.identity.issuer import Issuer
from services.emulator.storage.server import StorageServer
from services.emulator.tls.certificate import Certificate, own_certificate

_HOST = "127.0.0.1"


class TlsParts(NamedTuple):
    """The TLS endpoint of Event Hubs, and the certificate of both services."""

    event_hubs: TlsEndpoint
    certificate: Certificate


class Servers(NamedTuple):
    """The running servers. `secured` is None unless TLS is on."""

    event_hubs: EventHubsServer
    storage: StorageServer
    admin: AdminServer
    issuer: Issuer
    secured: TlsParts | None


@asynccontextmanager
async def serve(data: Path, declared: Iterable[DeclaredHub], *, with_tls: bool) -> AsyncIterator[Servers]:
    """Run all servers on free ports of loopback.

    Raises NeedsAttention if the data or the hubs are unusable.
    """
    certificate = own_certificate(data / "tls", _HOST) if with_tls else None
    context = certificate.server_context() if certificate else None
    issuer = Issuer(data)
    async with AsyncExitStack() as stack:
        hubs = await stack.enter_async_context(EventHubsServer(data, hubs=declared, issuer=issuer))
        storage = await stack.enter_async_context(StorageServer(data, issuer=issuer, tls=context))
        admin = await stack.enter_async_context(AdminServer(hubs, storage, issuer=issuer))
        secured = None
        if certificate and context:
            secured = TlsParts(await stack.enter_async_context(TlsEndpoint(hubs, context)), certificate)
        yield Servers(hubs, storage, admin, issuer, secured)
