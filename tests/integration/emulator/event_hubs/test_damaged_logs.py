"""A hub whose files were damaged serves what is left, says what is lost, and never blocks a partition."""

import contextlib
import logging
from dataclasses import replace

import pytest

from services.emulator.event_hubs.server import EventHubsServer
from services.emulator.log.records import HEADER_BYTES

COUNT = 60
DAMAGED = 20
SEGMENT_BYTES = 2_000


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "damaged"


@pytest.fixture
def serving(folder, client):
    """Serve the folder, once or again, and make a client of that server."""

    @contextlib.asynccontextmanager
    async def serve():
        async with EventHubsServer(folder, segment_bytes=SEGMENT_BYTES) as server:
            yield server, replace(client, connection_string=server.connection_string)

    return serve


def records_of(server):
    return list(server.namespace.hubs.find("telemetry").logs[0].records())


def damage(server, offset, bits=0xFF):
    """Flip bits of the byte at an offset of partition 0's log, in its file."""
    segments = server.namespace.hubs.find("telemetry").logs[0].segments
    segment = next(one for one in reversed(segments) if one.base_offset <= offset)
    with segment.path.open("r+b") as file:
        file.seek(offset - segment.base_offset)
        byte = file.read(1)[0]
        file.seek(offset - segment.base_offset)
        file.write(bytes((byte ^ bits,)))


PLACES = {
    "length": 2,
    "high byte of the length": 0,
    "sequence number": 11,
    "crc": HEADER_BYTES - 1,
    "annotations": HEADER_BYTES + 5,
    "body": -1,
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("is_restarted", [True, False], ids=["after a restart", "while it serves"])
async def test_a_damaged_event_costs_itself(serving, caplog, place, is_restarted):
    """Readers go on behind it; one log line names hub, partition and number; the log counts it."""
    async with serving() as (server, client):
        await client.send(*map(str, range(COUNT)), partition_id="0")
        assert len(server.namespace.hubs.find("telemetry").logs[0].segments) == 1
        record, following = records_of(server)[DAMAGED : DAMAGED + 2]
        at = PLACES[place]
        damage(server, following.offset + at if at < 0 else record.offset + at)
        if not is_restarted:
            await check_served(server, client, caplog, {DAMAGED})
    if is_restarted:
        async with serving() as (server, client):
            await check_served(server, client, caplog, {DAMAGED})


async def check_served(server, client, caplog, lost):
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            received = [event for _, event in await client.receive(COUNT - len(lost), partition_id="0")]
            numbers = [event.sequence_number for event in received]
            assert numbers == [number for number in range(COUNT) if number not in lost]
            assert [event.body_as_str() for event in received] == list(map(str, numbers))
    found = [entry.msg.fields for entry in caplog.records if str(entry.msg).startswith("events_damaged")]
    assert [(one["hub"], one["partition"]) for one in found] == [("telemetry", 0)]
    assert range(found[0]["first_sequence_number"], found[0]["next_sequence_number"]) == range(
        min(lost), max(lost) + 1
    )
    assert server.namespace.hubs.find("telemetry").logs[0].damaged_events == len(lost)


async def test_damage_at_the_ends_of_segments_is_stepped_over(serving):
    """The last event of one segment and the first of the next are lost, everything else is served."""
    async with serving() as (_, client):
        await client.send("x", times=COUNT, partition_id="0")
    async with serving() as (server, client):
        first, second = server.namespace.hubs.find("telemetry").logs[0].segments[:2]
        lost = {second.base_sequence - 1, second.base_sequence}
        for record in records_of(server):
            if record.sequence_number in lost:
                damage(server, record.offset + HEADER_BYTES + 8)
        assert first.size_bytes
        received = [event for _, event in await client.receive(COUNT - len(lost), partition_id="0")]
        assert [event.sequence_number for event in received] == [
            number for number in range(COUNT) if number not in lost
        ]
        assert server.namespace.hubs.find("telemetry").logs[0].damaged_events == 2


async def test_a_partition_that_lost_its_last_event_goes_on(serving):
    """New events arrive at a reader that waits behind the damage, under numbers that were never used."""
    async with serving() as (server, client):
        await client.send(*map(str, range(COUNT)), partition_id="0")
        damage(server, records_of(server)[-1].offset + HEADER_BYTES + 8)
        await client.send("more", partition_id="0")
        received = [event for _, event in await client.receive(COUNT, partition_id="0")]
        assert [event.sequence_number for event in received[-2:]] == [COUNT - 2, COUNT]


@pytest.mark.parametrize("suffix", [".index", ".rows"])
async def test_a_damaged_index_costs_nothing(serving, folder, suffix):
    """The index is made again from the events."""
    async with serving() as (_, client):
        await client.send("x", times=COUNT, partition_id="0")
    damaged = list(folder.glob(f"event_hubs/telemetry/*0/*{suffix}"))
    assert damaged
    for path in damaged:
        path.write_bytes(bytes(byte ^ 0x55 for byte in path.read_bytes()))
    async with serving() as (_, client):
        received = [event for _, event in await client.receive(COUNT, partition_id="0")]
        assert [event.sequence_number for event in received] == list(range(COUNT))
