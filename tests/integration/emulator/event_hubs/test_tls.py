import asyncio
import ssl
from contextlib import AsyncExitStack

import pytest
from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.exceptions import AuthenticationError, ConnectError

from services.emulator.event_hubs.endpoints import TlsEndpoint
from services.emulator.event_hubs.server import EventHubsServer
from services.emulator.tls.certificate import own_certificate
from shared.amqp.frames import AMQP_HEADER
from tests.support.embedded_stack import PATIENCE_S

KINDS = ["tls", "ws", "wss"]
# The SDK hands aiohttp ssl=None where there is none, and forgets to close what it did not finish opening.
pytestmark = [
    pytest.mark.filterwarnings("ignore:ssl=None is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Unclosed c:ResourceWarning"),
]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_asyncio_sdk_sends_and_receives(transports, kind):
    """Over TLS and over both kinds of websockets events arrive, large batches whole."""
    client = transports.client(kind)
    await client.send(b"small", partition_id="1")
    await client.send(*[b"x" * 100_000] * 8, partition_id="1")
    received = await client.receive(9, partition_id="1")
    assert [len(event.body_as_str()) for _, event in received] == [5, *[100_000] * 8]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_threaded_sdk_sends_and_receives(transports, kind):
    """The SDK without asyncio, which brings a websocket of another make, works the same."""
    client = transports.client(kind)
    await asyncio.wait_for(asyncio.to_thread(send_and_receive, client), 60)


def send_and_receive(client):
    named = {"eventhub_name": client.hub, **client.transport}
    with EventHubProducerClient.from_connection_string(client.connection_string, **named) as producer:
        producer.send_batch([EventData(b"x" * 100_000) for _ in range(5)], partition_id="0")
        assert producer.get_eventhub_properties()["partition_ids"] == ["0", "1", "2", "3"]
    consumer = EventHubConsumerClient.from_connection_string(
        client.connection_string, consumer_group=client.group, **named
    )
    received = []

    def on_event(context, event):
        received.append(event)
        if len(received) == 5:
            # Told so, the reader ends by itself.
            consumer._event_processors[client.group, "0"].stop()

    with consumer:
        consumer.receive(on_event, partition_id="0", starting_position="-1")
    assert [len(event.body_as_str()) for event in received] == [100_000] * 5


@pytest.mark.parametrize("kind", KINDS)
async def test_an_unknown_hub_is_refused_alike(transports, kind):
    """A hub that does not exist is not found over any transport."""
    async with transports.client(kind, hub="nobody").producer() as producer:
        with pytest.raises(AuthenticationError, match="could not be found"):
            await producer.send_batch([EventData(b"x")])


async def test_a_client_that_trusts_another_authority_does_not_connect(transports, server, tmp_path):
    """A client that was not given this emulator's ca.pem refuses, and nothing is sent."""
    other = own_certificate(tmp_path / "other", "127.0.0.1")
    async with transports.client("tls").producer(connection_verify=str(other.ca)) as producer:
        with pytest.raises(ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await producer.send_batch([EventData(b"x")], partition_id="0")
    trusting = ssl.create_default_context(cafile=other.ca)
    for endpoint in (transports.tls, transports.websockets):
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", endpoint.port, ssl=trusting)
    assert server.namespace.hubs.find("telemetry").logs[0].state().is_empty


async def test_the_tls_port_speaks_nothing_but_tls(transports):
    """A client that came without TLS is dropped unheard."""
    reader, writer = await asyncio.open_connection("127.0.0.1", transports.tls.port)
    writer.write(AMQP_HEADER * 3)
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(8)
    writer.close()


async def test_a_silent_client_is_dropped(tmp_path, certificate):
    """Without a TLS handshake, and without a word after it, a connection ends and leaves nothing."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(EventHubsServer(tmp_path, patience_s=0.2))
        endpoint = await stack.enter_async_context(TlsEndpoint(server, certificate.server_context()))
        trusting = ssl.create_default_context(cafile=certificate.ca)
        for context in (None, trusting):
            reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port, ssl=context)
            async with asyncio.timeout(PATIENCE_S):
                with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                    await reader.readexactly(1)
            writer.close()
        assert not server._clients
