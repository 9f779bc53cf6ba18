"""Tokens over the life of a connection, put as any client may put them."""

import asyncio
import time
import uuid

from azure.eventhub._pyamqp.utils import generate_sas_token

from services.emulator.event_hubs.sas import DEVELOPMENT_KEY, DEVELOPMENT_KEY_NAME, TOKEN_TYPE
from shared.amqp import encoder as amqp
from shared.amqp import performative_encoder
from shared.amqp.frames import frame
from tests.integration.emulator.event_hubs.wire import (
    OPENING_OF_A_STRANGER,
    SOURCE,
    attach,
    connect,
    credit,
    frames_until,
    kinds,
    transfer,
)

TO_CBS = attach(0, receiver=False, address="$cbs") + attach(1, receiver=True, address="$cbs") + credit(1, 100)


def put_token(server, delivery, *, expires_in_s, key=DEVELOPMENT_KEY):
    """One request to $cbs, for the whole namespace."""
    audience = f"sb://127.0.0.1:{server.port}/"
    token = generate_sas_token(audience, DEVELOPMENT_KEY_NAME, key, int(time.time()) + expires_in_s)
    said = {"operation": "put-token", "type": TOKEN_TYPE, "name": audience}
    properties = amqp.mapping((amqp.string(name), amqp.string(value)) for name, value in said.items())
    return transfer(
        delivery,
        amqp.described(0x73, amqp.sequence([amqp.uuid(uuid.uuid4())]))
        + amqp.described(0x74, properties)
        + amqp.described(0x77, amqp.string(token)),
    )


async def reading(server, *, expires_in_s):
    """A connection on which a token was put and a reader opened."""
    reader, writer = await connect(server, OPENING_OF_A_STRANGER + TO_CBS)
    writer.write(put_token(server, 0, expires_in_s=expires_in_s))
    frames = await frames_until(reader, 0x14)
    # The Python SDK forgets its request when the answer comes before it was accepted.
    assert kinds(frames)[-2:] == [0x15, 0x14]
    assert amqp.string("status-code") + amqp.integer(202) in frames[-1].body
    writer.write(attach(2, receiver=True, address=SOURCE) + credit(2, 10))
    await frames_until(reader, 0x12)
    return reader, writer


async def test_a_reader_is_detached_when_its_token_is_over(server):
    """At the second at which the token ends, not before and without being asked, the link ends with it."""
    reader, writer = await reading(server, expires_in_s=5)
    [*_, detached] = await frames_until(reader, 0x16)
    assert b"amqp:unauthorized-access" in detached.body
    assert b"ExpiredToken" in detached.body
    assert b"'Listen' claim(s) are required" in detached.body
    writer.write(frame(0, performative_encoder.detach(2)) + attach(2, receiver=True, address=SOURCE))
    frames = await frames_until(reader, 0x16)
    assert b"amqp:unauthorized-access" in frames[-1].body
    writer.transport.abort()


async def test_a_refreshed_token_keeps_the_reader(server, client):
    """A client that puts a newer token in time reads on past the end of the older one."""
    reader, writer = await reading(server, expires_in_s=5)
    ends_at_s = time.time() + 5
    writer.write(put_token(server, 1, expires_in_s=60))
    await frames_until(reader, 0x14)
    await asyncio.sleep(ends_at_s + 0.2 - time.time())
    await client.send(b"later", partition_id="0")
    frames = await frames_until(reader, 0x14)
    assert kinds(frames) == [0x14]
    assert b"later" in frames[-1].body
    writer.transport.abort()


async def test_a_wrong_token_takes_everything_back(server):
    """A client whose token is refused loses its links."""
    reader, writer = await reading(server, expires_in_s=60)
    writer.write(put_token(server, 1, expires_in_s=60, key="another"))
    frames = await frames_until(reader, 0x16)
    [detached] = [item for item in frames if item.body[2] == 0x16]
    assert b"amqp:unauthorized-access" in detached.body
    writer.transport.abort()
