"""Peers other than the SDKs: garbage, small pieces, no token, heartbeats, draining."""

import asyncio
import os

import pytest

from shared.amqp import encoder as amqp
from shared.amqp.frames import AMQP_HEADER, SASL_HEADER, frame
from tests.integration.emulator.event_hubs.wire import (
    OPENING,
    OPENING_OF_A_STRANGER,
    SOURCE,
    attach,
    frames_until,
    performative,
    transfer,
)
from tests.support.embedded_stack import PATIENCE_S


async def test_garbage_ends_only_its_own_connection(server, client):
    """After arbitrary bytes, the connection is closed with a reason or dropped; others continue."""
    for number in range(200):
        _reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        head = (b"", SASL_HEADER, AMQP_HEADER, OPENING)[number % 4]
        writer.write(head + os.urandom(200 + number))
        writer.write_eof()
        await writer.drain()
        writer.close()
    await client.send(b"still here")
    assert await client.receive(1)


async def test_transfers_are_joined(server, client):
    """A message in many small frames is one event."""
    payload = amqp.described(0x75, amqp.binary(b"y" * 1000))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(OPENING + attach(0, receiver=False, address="telemetry/Partitions/1"))
    for start in range(0, len(payload), 7):
        writer.write(transfer(0, payload[start : start + 7], more=start + 7 < len(payload)))
    frames = await frames_until(reader, 0x15)
    assert b"\x53\x24" in frames[-1].body  # accepted
    [(partition, event)] = await client.receive(1)
    assert (partition, event.body_as_str()) == ("1", "y" * 1000)
    writer.transport.abort()


async def test_broken_events_are_rejected(server):
    """A delivery that is no message is rejected and not stored."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        OPENING + attach(0, receiver=False, address="telemetry/Partitions/1") + transfer(0, b"garbage")
    )
    frames = await frames_until(reader, 0x15)
    assert b"amqp:decode-error" in frames[-1].body
    assert server.namespace.hubs.find("telemetry").logs[1].state().is_empty
    writer.transport.abort()


@pytest.mark.parametrize(("receiver", "address"), [(True, SOURCE), (False, "telemetry")])
async def test_without_a_token_no_link_opens(server, receiver, address):
    """A connection that proved nothing gets no link to events."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(OPENING_OF_A_STRANGER + attach(0, receiver=receiver, address=address))
    frames = await frames_until(reader, 0x16)
    assert b"amqp:unauthorized-access" in frames[-1].body
    writer.transport.abort()


async def test_a_client_that_asks_for_heartbeats_gets_them(server):
    """An idle connection carries empty frames at half the client's own time-out."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    opened = performative(
        0x10, amqp.string("raw"), amqp.NULL, amqp.uint(65536), amqp.ushort(1), amqp.uint(400)
    )
    writer.write(AMQP_HEADER + frame(0, opened))
    received = b""
    async with asyncio.timeout(PATIENCE_S):
        while received.count(b"\x00\x00\x00\x08\x02\x00\x00\x00") < 3:
            received += await reader.read(1024)
    writer.transport.abort()


async def test_draining_uses_up_the_credit(server, client):
    """A client that drains is answered with no credit when there are no more events."""
    await client.send(b"a", b"b", partition_id="0")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    numbers = [1, 2**31 - 1, 0, 2**31 - 1, 0, 0, 10]
    drain = performative(0x13, *(amqp.uint(number) for number in numbers), amqp.NULL, amqp.boolean(True))
    writer.write(OPENING + attach(0, receiver=True, address=SOURCE) + frame(0, drain))
    frames = await frames_until(reader, 0x13)
    kinds = [item.body[2] for item in frames if item.kind == 0]
    assert kinds[-3:] == [0x14, 0x14, 0x13]
    assert frames[-1].body.endswith(amqp.uint(10) + amqp.uint(0) + amqp.NULL * 4)
    writer.transport.abort()
