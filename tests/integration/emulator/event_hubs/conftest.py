"""The real server in this process, and the unmodified Azure SDK as its client."""

import asyncio
import contextlib
import gc
import ssl
from dataclasses import dataclass, field

import aiohttp
import pytest
from azure.eventhub import EventData, TransportType
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.exceptions import EventHubError

from services.emulator.admin.server import AdminServer
from services.emulator.event_hubs.endpoints import TlsEndpoint, WebSocketEndpoint
from services.emulator.event_hubs.server import EventHubsServer
from services.emulator.tls.certificate import Certificate, own_certificate
from tests.support.receiving import read_events, receive_events


@dataclass(frozen=True)
class Client:
    """The SDK, pointed at one hub. `connection_string` may be another than the server's own.

    `transport` is what every client of the SDK is told besides: see `Transports`.
    """

    connection_string: str
    hub: str = "telemetry"
    group: str = "$Default"
    transport: dict = field(default_factory=dict)
    first_accepted: asyncio.Event = field(default_factory=asyncio.Event)

    def producer(self, **options):
        return EventHubProducerClient.from_connection_string(
            self.connection_string,
            eventhub_name=self.hub,
            **{"retry_total": 0, **self.transport, **options},
        )

    def consumer(self, **options):
        return EventHubConsumerClient.from_connection_string(
            self.connection_string,
            consumer_group=self.group,
            eventhub_name=self.hub,
            **{**self.transport, **options},
        )

    async def send(self, *bodies, times=1, **placed):
        """One batch, or the same one several times; `placed` is a partition_id or a partition_key."""
        async with self.producer() as producer:
            for _ in range(times):
                batch = await producer.create_batch(**placed)
                for body in bodies:
                    batch.add(EventData(body))
                await producer.send_batch(batch)

    async def send_until_refused(self):
        """Single events "0", "1", … to partition 0 until the hub is gone; how many it accepted."""
        accepted = 0
        async with self.producer() as producer:
            with contextlib.suppress(EventHubError):
                while True:
                    await producer.send_batch([EventData(b"%d" % accepted)], partition_id="0")
                    accepted += 1
                    self.first_accepted.set()
        return accepted

    def reading(self, on_event, *, client_options=None, **options):
        """Let the SDK read during the block."""
        return read_events(self.consumer(**(client_options or {})), on_event, **options)

    async def receive(self, count, **options):
        """Return the next `count` (partition id, event) pairs, by default from the beginning."""
        return await receive_events(self.consumer(), count, **options)


@pytest.fixture
async def server(tmp_path):
    async with EventHubsServer(tmp_path) as server:
        yield server


@dataclass(frozen=True)
class Transports:
    """The ports of one server beside plain AMQP, and the SDK's options for them."""

    certificate: Certificate
    tls: TlsEndpoint
    websockets: WebSocketEndpoint

    def client(self, kind, hub="telemetry"):
        """`kind` is tls, ws or wss."""
        endpoint = self.tls if kind == "tls" else self.websockets
        connection_string = endpoint.connection_string
        # Another port than the usual one is not taken from the connection string.
        transport = {
            "transport_type": TransportType.Amqp if kind == "tls" else TransportType.AmqpOverWebsocket,
            "custom_endpoint_address": f"sb://127.0.0.1:{endpoint.port}",
        }
        if kind != "ws":
            connection_string = connection_string.replace("UseDevelopmentEmulator=true;", "")
            transport["connection_verify"] = str(self.certificate.ca)
        return Client(connection_string, hub, transport=transport)

    async def connect(self, kind, *, limit=65536):
        """A socket and no more, through TLS where the kind has it."""
        endpoint = self.tls if kind == "tls" else self.websockets
        context = None if kind == "ws" else ssl.create_default_context(cafile=self.certificate.ca)
        return await asyncio.open_connection("127.0.0.1", endpoint.port, ssl=context, limit=limit)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return own_certificate(tmp_path_factory.mktemp("tls"), "127.0.0.1")


@pytest.fixture
async def transports(server, certificate):
    context = certificate.server_context()
    async with TlsEndpoint(server, context) as tls, WebSocketEndpoint(server, context) as websockets:
        yield Transports(certificate, tls, websockets)
        gc.collect()


@pytest.fixture
async def call(server, storage):
    """Ask the admin listener: `await call("POST", "/faults", {…})` gives status and JSON.

    A body of bytes is sent as it is.
    """
    async with AdminServer(server, storage) as admin, aiohttp.ClientSession(admin.url) as session:

        async def call(method, path, body=None):
            content = {"data": body} if isinstance(body, bytes) else {"json": body}
            async with session.request(method, path, **content) as answer:
                return answer.status, await answer.json() if answer.content_length else None

        yield call


@pytest.fixture
async def client(server):
    yield Client(server.connection_string)
    # Close what the SDK leaves in reference cycles while there still is an event loop.
    gc.collect()
