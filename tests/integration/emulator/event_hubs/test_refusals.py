import asyncio
from contextlib import AsyncExitStack

import pytest
from azure.eventhub import EventData
from azure.eventhub._pyamqp.error import AMQPLinkError, TokenAuthFailure
from azure.eventhub.exceptions import AuthenticationError, ConnectError, EventHubError

from services.emulator.event_hubs.sas import LISTEN, SEND, SharedKey
from services.emulator.event_hubs.server import EventHubsServer
from tests.support.embedded_stack import PATIENCE_S


@pytest.fixture
def wrong_key(server, client):
    return type(client)(server.connection_string.replace("SAS_KEY_VALUE", "WRONG"))


async def refused_reading(client, partition_id="0", starting_position="-1"):
    """The error with which the SDK's reader cannot open its link.

    Asked one level below `receive`, which in this version of the SDK tries again for ever without a word.
    """

    async def on_event(context, event):
        pass

    async with client.consumer(retry_total=0) as consumer:
        reader = consumer._create_consumer(client.group, partition_id, starting_position, on_event)
        try:
            async with asyncio.timeout(PATIENCE_S):
                with pytest.raises((AMQPLinkError, TokenAuthFailure)) as refused:
                    await reader._open()
        finally:
            await reader.close()
    return str(refused.value)


async def test_a_wrong_key_opens_nothing(wrong_key):
    """Neither sending nor reading nor properties work with a key that is not the hub's."""
    async with wrong_key.producer() as producer:
        with pytest.raises(AuthenticationError, match="401"):
            await producer.send_batch([EventData(b"x")])
        with pytest.raises(AuthenticationError, match="401"):
            await producer.get_eventhub_properties()
    assert "401" in await refused_reading(wrong_key)


async def test_an_unknown_hub_is_not_found(client):
    """A hub that does not exist is refused at its token, in sending, reading and properties, at once."""
    stranger = type(client)(client.connection_string, hub="nobody")
    async with stranger.producer() as producer:
        with pytest.raises(AuthenticationError, match=r"404[^\0]*'sb://[^']*/nobody' could not be found"):
            await producer.send_batch([EventData(b"x")])
        with pytest.raises(AuthenticationError, match="404"):
            await producer.get_eventhub_properties()
    assert "could not be found" in await refused_reading(stranger)


async def test_an_unknown_group_is_not_found(client):
    """A consumer group outside the hub's list is refused; one that stands in it is not."""
    stranger = type(client)(client.connection_string, group="nobody")
    assert "amqp:not-found" in await refused_reading(stranger)
    await client.send(b"x")
    assert await type(client)(client.connection_string, group="ingest").receive(1)


async def test_an_unknown_partition_is_not_found(client):
    """Partition 4 of a hub with 0 to 3 is refused, in sending, reading and properties."""
    async with client.producer() as producer:
        with pytest.raises(EventHubError, match="Invalid partition 4"):
            await producer.send_event(EventData(b"x"), partition_id="4")
        with pytest.raises(ConnectError, match="404"):
            await producer.get_partition_properties("4")
    assert "could not be found" in await refused_reading(client, partition_id="4")


async def test_positions_beyond_the_end_are_refused(client):
    """A reader with a position beyond the partition's end is refused and does not wait for ever."""
    assert "last sequence number in the system is '-1'" in await refused_reading(
        client, starting_position=1000
    )


async def test_a_sixth_reader_is_one_too_many(client):
    """Five readers share a partition of a group; the sixth is refused, with the quota in the message."""
    await client.send(b"x", partition_id="0")
    async with AsyncExitStack() as stack:
        all_read = [asyncio.Event() for _ in range(5)]
        for reads in all_read:

            async def on_event(context, event, reads=reads):
                reads.set()

            await stack.enter_async_context(client.reading(on_event, partition_id="0"))
        async with asyncio.timeout(PATIENCE_S):
            for reads in all_read:
                await reads.wait()
        assert "which is 5" in await refused_reading(client)


async def test_keys_allow_what_they_are_for(tmp_path, client):
    """A key to send does not read, and a key to listen does not send."""
    keys = [SharedKey("sender", "a", frozenset({SEND})), SharedKey("listener", "b", frozenset({LISTEN}))]
    async with EventHubsServer(tmp_path / "other", keys=keys) as server:
        sender = type(client)(server.connection_string)
        listener = type(client)(
            server.connection_string.replace("KeyName=sender", "KeyName=listener").replace("Key=a", "Key=b")
        )
        await sender.send(b"x")
        assert await listener.receive(1)
        assert "'Listen' claim" in await refused_reading(sender)
        async with listener.producer() as producer:
            with pytest.raises(EventHubError, match="'Send' claim"):
                await producer.send_batch([EventData(b"x")])
