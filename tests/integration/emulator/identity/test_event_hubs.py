import asyncio
import threading

import pytest
from azure.core.credentials import AccessToken
from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient, TransportType
from azure.eventhub import aio as eventhub_aio
from azure.eventhub.exceptions import AuthenticationError, EventHubError
from azure.identity import DefaultAzureCredential
from azure.identity import aio as identity_aio

from services.emulator.identity.issuer import Assignment
from services.emulator.identity.roles import Role
from tests.support.embedded_stack import PATIENCE_S

RESOURCE = "https://eventhubs.azure.net/"


class OneToken:
    """A credential that always returns the same token."""

    def __init__(self, text):
        self.text = text

    async def get_token(self, *_scopes, **_options):
        return AccessToken(self.text, 2**31)


def over_tls(azure, **options):
    return azure.namespace(eventhub_name="telemetry", transport_type=TransportType.Amqp, **options)


def producer(azure, credential):
    return eventhub_aio.EventHubProducerClient(**over_tls(azure, credential=credential, retry_total=0))


async def test_the_default_credential_sends_and_receives(azure):
    """A program that signs in with DefaultAzureCredential works as with Azure."""
    received = asyncio.Queue()

    async def on_event(_context, event):
        await received.put(event.body_as_str())

    async with identity_aio.DefaultAzureCredential() as credential:
        async with producer(azure, credential) as sender:
            await sender.send_batch([EventData("over TLS")], partition_id="0")
            assert (await sender.get_eventhub_properties())["eventhub_name"] == "telemetry"
        options = over_tls(azure, credential=credential, consumer_group="$Default")
        consumer = eventhub_aio.EventHubConsumerClient(**options)
        async with consumer:
            reading = asyncio.create_task(
                consumer.receive(on_event, partition_id="0", starting_position="-1")
            )
            async with asyncio.timeout(PATIENCE_S):
                assert await received.get() == "over TLS"
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def test_the_synchronous_clients_do_too(azure):
    """So does one that uses the synchronous clients."""

    def tour():
        got = threading.Event()
        bodies = []

        def on_event(_context, event):
            bodies.append(event.body_as_str())
            got.set()

        with DefaultAzureCredential() as credential:
            with EventHubProducerClient(**over_tls(azure, credential=credential)) as sender:
                sender.send_batch([EventData("without asyncio")], partition_id="1")
            options = over_tls(azure, credential=credential, consumer_group="$Default")
            consumer = EventHubConsumerClient(**options)
            reading = threading.Thread(
                target=consumer.receive,
                args=(on_event,),
                kwargs={"partition_id": "1", "starting_position": "-1"},
            )
            reading.start()
            try:
                assert got.wait(60)
            finally:
                consumer.close()
                reading.join(60)
        return bodies

    assert await asyncio.to_thread(tour) == ["without asyncio"]


async def test_an_expired_token_opens_nothing(azure):
    """An expired token is refused with the service's message."""
    expired = azure.issuer.issue(RESOURCE, assignment=Assignment(expires_in_s=-60))
    async with producer(azure, OneToken(expired.access_token)) as sender:
        with pytest.raises(AuthenticationError, match=r"(?s)401.*ExpiredToken"):
            await sender.send_batch([EventData(b"x")])


async def test_a_token_for_storage_opens_nothing(azure):
    """A token for another service is refused."""
    other = azure.issuer.issue("https://storage.azure.com/")
    async with producer(azure, OneToken(other.access_token)) as sender:
        with pytest.raises(AuthenticationError, match=r"(?s)401.*InvalidAudience"):
            await sender.send_batch([EventData(b"x")])


async def test_a_receiver_cannot_send(azure):
    """An identity may do only what its roles allow."""
    azure.issuer.assign("system", Assignment(roles=(Role.EVENT_HUBS_RECEIVER,)))
    async with identity_aio.DefaultAzureCredential() as credential, producer(azure, credential) as sender:
        assert (await sender.get_eventhub_properties())["eventhub_name"] == "telemetry"
        with pytest.raises(EventHubError, match="'Send' claim"):
            await sender.send_batch([EventData(b"x")])


async def test_an_identity_without_a_role_learns_nothing(azure):
    """A token without a role gives no access."""
    azure.issuer.assign("system", Assignment(roles=(Role.STORAGE_OWNER,)))
    async with identity_aio.DefaultAzureCredential() as credential, producer(azure, credential) as sender:
        with pytest.raises(AuthenticationError):
            await sender.get_eventhub_properties()
