"""The protocol itself, frame by frame: what the SDKs rely on without ever saying so."""

import asyncio

import pytest

from shared.amqp import encoder as amqp
from shared.amqp import performative_encoder
from shared.amqp.frames import AMQP_HEADER, frame
from tests.integration.emulator.event_hubs.wire import (
    BEGIN,
    OPENING,
    SOURCE,
    attach,
    connect,
    credit,
    fields,
    frames_until,
    kinds,
    make_opening,
    performative,
    transfer,
)
from tests.support.embedded_stack import PATIENCE_S

EVENT = amqp.described(0x75, amqp.binary(b"x"))


async def test_frames_have_all_their_fields(server):
    """Every frame carries every field, trailing nulls too: the Python SDK reads them by their place."""
    reader, writer = await connect(
        server, OPENING + attach(0, receiver=False, address="telemetry/Partitions/0")
    )
    writer.write(transfer(0, EVENT) + attach(1, receiver=True, address=SOURCE) + credit(1, 1))
    frames = await frames_until(reader, 0x14)
    writer.write(
        frame(0, performative_encoder.detach(0))
        + frame(0, performative_encoder.end())
        + frame(0, performative_encoder.close())
    )
    frames += await frames_until(reader, 0x18)
    counts = {item.body[2]: len(fields(item)) for item in frames}
    assert counts == {
        0x40: 1,
        0x44: 2,
        0x10: 10,
        0x11: 8,
        0x12: 14,
        0x13: 11,
        0x14: 11,
        0x15: 6,
        0x16: 3,
        0x17: 1,
        0x18: 1,
    }
    # Nor are they empty lists in their short form.
    assert all(item.body[3] in {0xC0, 0xD0} for item in frames)
    writer.transport.abort()


async def test_a_link_is_answered_with_its_own_name_and_both_ends(server):
    """The answer to an ATTACH echoes name, handle and ends, and gives the maximal message size."""
    reader, writer = await connect(server, OPENING + attach(7, receiver=True, address=SOURCE))
    [*_, answered] = await frames_until(reader, 0x12)
    name, handle, is_receiver, _, _, source, target, _, _, first_count, max_bytes, *_ = fields(answered)
    assert (name, handle, is_receiver) == ("link-7", 7, False)
    assert (source.value[0], target.value[0]) == (SOURCE, "me")
    assert (first_count, max_bytes) == (0, 1024 * 1024)
    writer.transport.abort()


async def test_a_refused_link_is_attached_to_nothing_and_detached(server):
    """A refusal is an ATTACH with null ends, then a DETACH with the reason; the session lives on."""
    reader, writer = await connect(server, OPENING + attach(0, receiver=False, address="nobody"))
    frames = await frames_until(reader, 0x16)
    assert kinds(frames)[-2:] == [0x12, 0x16]
    assert fields(frames[-2])[5:7] == [None, None]
    assert b"The messaging entity 'nobody' could not be found" in frames[-1].body
    writer.write(frame(0, performative_encoder.detach(0)) + attach(0, receiver=False, address="telemetry"))
    frames = await frames_until(reader, 0x13)
    assert kinds(frames)[-2:] == [0x12, 0x13]
    writer.transport.abort()


@pytest.mark.parametrize(
    "name", ["com.microsoft:georeplication", "com.microsoft:enable-receiver-runtime-metric"]
)
async def test_capabilities_are_offered_back(server, name):
    """A capability that a client desires and the hub has is offered in the answer."""
    wanted = attach(0, receiver=True, address=SOURCE, capabilities=amqp.symbols([name, "com.example:other"]))
    reader, writer = await connect(server, OPENING + wanted)
    [*_, answered] = await frames_until(reader, 0x12)
    assert fields(answered)[11] == [name]
    writer.transport.abort()


async def test_events_are_cut_into_the_clients_frames(server, client):
    """A client that takes frames of 512 bytes gets none that is larger, and the whole event."""
    await client.send(b"z" * 2000, partition_id="0")
    said = make_opening(max_frame_bytes=512) + attach(0, receiver=True, address=SOURCE) + credit(0, 1)
    reader, writer = await connect(server, said)
    frames, whole = [], b""
    while whole.count(b"z") < 2000:
        frames += [item for item in await frames_until(reader, 0x14) if item.body[2] == 0x14]
        whole = b"".join(item.body for item in frames)
    assert max(len(item.body) for item in frames) <= 512 - 8
    assert [fields(item)[5] for item in frames] == [True] * (len(frames) - 1) + [False]
    writer.transport.abort()


def session_flow(*, reached, window):
    """How far the client has come and what it has room for; an answer is asked for."""
    numbers = [amqp.uint(number) for number in (reached, window, 0, 2**31 - 1)]
    return frame(0, performative(0x13, *numbers, *[amqp.NULL] * 5, amqp.boolean(True)))


async def test_the_clients_window_is_kept(server, client):
    """No more frames are sent than the client's session window allows, until it is renewed."""
    await client.send(*(b"%d" % number for number in range(10)), partition_id="0")
    reader, writer = await connect(
        server, OPENING + attach(0, receiver=True, address=SOURCE) + credit(0, 100, window=3)
    )
    frames = await frames_until(reader, 0x14, count=3)
    # Asked to be answered: what came before the answer is all there is.
    writer.write(session_flow(reached=4, window=0))
    frames += await frames_until(reader, 0x13)
    assert kinds(frames).count(0x14) == 3
    writer.write(session_flow(reached=4, window=2))
    frames = await frames_until(reader, 0x14, count=2)
    writer.write(session_flow(reached=6, window=0))
    frames += await frames_until(reader, 0x13)
    assert kinds(frames).count(0x14) == 2
    writer.transport.abort()


async def test_events_are_settled_and_share_one_tag(server, client):
    """Nothing waits for a reader's word, and no reader keeps a tag for every event."""
    await client.send(b"a", b"b", b"c", partition_id="0")
    reader, writer = await connect(server, OPENING + attach(0, receiver=True, address=SOURCE) + credit(0, 3))
    frames = await frames_until(reader, 0x14, count=3)
    transfers = [fields(item) for item in frames if item.body[2] == 0x14]
    assert [one[1] for one in transfers] == [1, 2, 3]
    assert {one[2] for one in transfers} == {b"\x00"}
    assert all(one[4] for one in transfers)
    writer.transport.abort()


async def test_what_comes_after_the_end_is_ignored(server):
    """The Python SDK detaches the links of sessions that it has ended: that is no reason to hang up."""
    reader, writer = await connect(
        server, OPENING + frame(0, performative_encoder.end()) + frame(0, performative_encoder.detach(3))
    )
    writer.write(frame(0, BEGIN) + attach(0, receiver=False, address="telemetry"))
    frames = await frames_until(reader, 0x12)
    assert kinds(frames)[:5] == [0x10, 0x11, 0x17, 0x11, 0x12]
    writer.transport.abort()


async def test_another_protocol_is_answered_with_ours(server):
    """A client of AMQP 0.9.1 gets the header of the version that is spoken, and the end."""
    reader, writer = await connect(server, b"AMQP\x00\x00\x09\x01")
    async with asyncio.timeout(PATIENCE_S):
        assert await reader.read() == AMQP_HEADER
    writer.close()


@pytest.mark.parametrize("code", [0x01, 0x17, 0x21])
async def test_unknown_frames_end_the_connection_with_the_reason(server, code):
    """An invalid performative, or one before OPEN, is refused with a description."""
    reader, writer = await connect(server, AMQP_HEADER + frame(0, performative(code, amqp.NULL)))
    frames = await frames_until(reader, 0x18)
    assert fields(frames[-1])[0] is not None
    writer.transport.abort()
