import asyncio
import time

import pytest
from azure.eventhub import EventData
from azure.eventhub._pyamqp.utils import generate_sas_token
from azure.eventhub.exceptions import AuthenticationError, EventHubError

from services.emulator.event_hubs.hubs import HubKey, KeyUnknown
from tests.support.embedded_stack import PATIENCE_S

ROOT = "RootManageSharedAccessKey"
KEY = "SAS_KEY_VALUE"


@pytest.fixture
def sign(world, sdk):
    """Clients with a signature instead of a key, as they are handed out to others."""

    def sign(*, hub="telemetry", expires_in_s=60, key=KEY, host=None):
        audience = f"sb://{host or f'127.0.0.1:{world.hub.port}'}/{hub}"
        token = generate_sas_token(audience, ROOT, key, int(time.time()) + expires_in_s)
        endpoint = f"Endpoint=sb://127.0.0.1:{world.hub.port}"
        return sdk.at(
            connection_string=f"{endpoint};SharedAccessSignature={token};UseDevelopmentEmulator=true;"
        )

    return sign


async def expect_refusal(sdk):
    """The error with which sending and reading the hub's properties are both refused."""
    async with sdk.producer() as producer:
        with pytest.raises(AuthenticationError, match="401") as of_properties:
            await producer.get_eventhub_properties()
        with pytest.raises(AuthenticationError, match="401") as of_sending:
            await producer.send_batch([EventData(b"x")])
    assert str(of_properties.value).split(".")[0] == str(of_sending.value).split(".")[0]
    return str(of_sending.value)


async def test_a_signature_is_as_good_as_the_key(sign):
    """A client with a signature for a hub may send and read until it expires, without the key."""
    sdk = sign()
    await sdk.send(b"x")
    assert await sdk.receive(1)


async def test_a_signature_that_is_wrong_opens_nothing(sign):
    """An expired one, one of another key, one for another hub or another host: 401, each with its reason."""
    assert "ExpiredToken" in await expect_refusal(sign(expires_in_s=-5))
    assert "InvalidSignature" in await expect_refusal(sign(key="another"))
    assert "InvalidAudience" in await expect_refusal(sign(hub="predictions"))
    assert "InvalidAudience" in await expect_refusal(sign(host="elsewhere:1"))


async def test_what_a_signature_allows_ends_with_it(world, sign):
    """A sender whose signature expires in the middle is detached, and does not get in again."""
    began_s = time.monotonic()
    await sign().send(b"how long it takes here", partition_id="1")
    sdk = sign(expires_in_s=4 + int(3 * (time.monotonic() - began_s)))
    async with sdk.producer() as producer:
        await producer.send_batch([EventData(b"in time")], partition_id="0")
        assert world.hub.namespace.faults.links
        async with asyncio.timeout(PATIENCE_S):
            # The client notices the server's DETACH when it sends again.
            while world.hub.namespace.faults.links:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        with pytest.raises(EventHubError, match=r"ExpiredToken|unauthorized"):
            await producer.send_batch([EventData(b"too late")], partition_id="0")
    [event] = await sign().receive(1, partition_id="0")
    assert event.body_as_str() == "in time"
    assert world.hub.namespace.hubs.find("telemetry").logs[0].state().last_sequence_number == 0


@pytest.fixture
def own(world, sdk):
    """Clients with the hub's own keys: "boss" may do everything there, "ears" listen, "mouth" send."""
    keys = [
        HubKey("boss", "b", ("Manage",)),
        HubKey("ears", "e", ("Listen",)),
        HubKey("mouth", "m", ("Send",)),
    ]
    world.hub.create_hub("guarded", 2, keys=keys)

    def own(key):
        # The hub's name comes with the connection string: EntityPath.
        return sdk.at(connection_string=world.hub.hub_connection_string("guarded", key), hub=None)

    return own


async def test_a_hubs_own_key_does_what_it_claims(own):
    """With a hub's own keys one may send, or listen, or both, and not what the key does not claim."""
    await own("mouth").send(b"from mouth")
    await own("boss").send(b"from boss")
    assert len(await own("ears").receive(2)) == 2
    assert len(await own("boss").receive(2)) == 2
    async with own("ears").producer() as producer:
        assert (await producer.get_eventhub_properties())["eventhub_name"] == "guarded"
        with pytest.raises(EventHubError, match="'Send' claim"):
            await producer.send_batch([EventData(b"x")])


async def test_a_hubs_own_key_opens_no_other_hub(own, sdk):
    """The same key and name are refused by a hub without that key."""
    key = own("boss").connection_string.replace("EntityPath=guarded;", "")
    assert "InvalidSignature" in await expect_refusal(sdk.at(connection_string=key, hub="telemetry"))


async def test_taking_a_key_away_ends_what_it_opened(world, own):
    """A removed key closes the links that it opened at once, and opens no more."""
    await own("boss").send(b"x")
    read, lost = asyncio.Event(), asyncio.Event()
    errors = []

    async def on_event(_context, _event):
        read.set()

    async def on_error(_context, error):
        errors.append(str(error))
        lost.set()

    options = {"client_options": {"retry_total": 0}, "on_error": on_error, "partition_id": "1"}
    reading = own("boss").reading(on_event, **options)
    async with asyncio.timeout(PATIENCE_S), reading, own("mouth").producer() as producer:
        await producer.send_batch([EventData(b"y")], partition_id="1")
        await read.wait()
        world.hub.create_hub("guarded", 2, keys=[HubKey("mouth", "m", ("Send",))])
        await lost.wait()
        await producer.send_batch([EventData(b"still")], partition_id="1")
    assert "amqp:unauthorized-access" in errors[0] or "401" in errors[0]
    with pytest.raises(KeyUnknown):
        own("boss")
