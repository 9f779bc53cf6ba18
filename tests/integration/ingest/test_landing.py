"""Records land once with their lineage; those that cannot be decoded land in the dead letters."""

import base64
import gzip
import json

import msgspec
import pyarrow as pa
from azure.eventhub.amqp import AmqpAnnotatedMessage, AmqpMessageProperties

from shared.codec.arrow_bodies import write_stream
from shared.codec.body_decoder import ARROW, JSON, NDJSON
from shared.codec.record_batches import build_batch
from shared.contract.columns import READING
from tests.support.ingesting import (
    body_event,
    ingesting,
    json_event,
    next_sequence,
    reading,
    send,
    until,
)


def ndjson(readings):
    return b"\n".join(map(msgspec.json.encode, readings))


def arrow(readings):
    return write_stream(build_batch(READING, readings, [None] * len(readings)).select(READING.schema.names))


async def test_json_lands_once(world, lake):
    """Every reading sent is in the lake once, with its lineage."""
    await send(world, [json_event(1, number) for number in range(1, 501)])

    async with ingesting(world):
        await until(lambda: len(lake.keys()) == 500)

    assert set(lake.keys().values()) == {1}
    rows = lake.rows()
    assert rows["sequence_number"].to_pylist() == list(range(500))
    assert set(rows["partition"].to_pylist()) == {0}
    assert set(rows["line"].to_pylist()) == {0}


async def test_packed_bodies_land_row_by_row(world, lake):
    """A packed event gives one row a record, each with its line; with or without a content type."""
    await send(
        world,
        [
            body_event(ndjson([reading(1, number) for number in range(1, 51)]), NDJSON),
            body_event(arrow([reading(2, number) for number in range(1, 51)]), ARROW),
            body_event(ndjson([reading(3, number) for number in range(1, 51)])),
            body_event(arrow([reading(4, number) for number in range(1, 51)])),
        ],
    )

    async with ingesting(world):
        await until(lambda: len(lake.keys()) == 200)

    rows = lake.rows()
    assert rows["line"].to_pylist() == list(range(50)) * 4
    assert rows["sequence_number"].to_pylist() == sorted([0, 1, 2, 3] * 50)


async def test_bad_bodies_are_dead_letters(world, lake):
    """Whatever a sender sends lands with its bytes and a reason, and delays no good reading."""
    bad = {
        b"{": (None, "malformed"),
        msgspec.json.encode(reading(9, 9))[:-20]: (JSON, "malformed"),
        b"\xff\xfe\x00nonsense": (None, "malformed"),
        b"": (JSON, "no record in the body"),
        b"[]": (None, "no record in the body"),
        b'{"vehicle_id": 7}': (JSON, "invalid"),
        msgspec.json.encode(reading(9, 9, speed_kmh=1e9)): (JSON, "invalid"),
        b"[" * 100_000: (JSON, "malformed"),
        b'{"vehicle_id": "%s"}' % (b"x" * 900_000): (JSON, "too large"),
        arrow([reading(9, 1)])[:200]: (ARROW, "malformed"),
        arrow([reading(9, 1, speed_kmh=-1.0)]): (ARROW, "invalid"),
    }
    events = []
    for number, (body, (content_type, _)) in enumerate(bad.items(), start=1):
        events += [json_event(1, number), body_event(body, content_type)]
    await send(world, events)

    async with ingesting(world):
        await until(lambda: len(lake.letters()) == len(bad) and len(lake.keys()) == len(bad))

    letters = lake.letters()
    assert [letter["sequence_number"] for letter in letters] == [2 * n + 1 for n in range(len(bad))]
    assert [letter["reason"].partition(":")[0] for letter in letters] == [code for _, code in bad.values()]
    *landed, last = [base64.b64decode(letter["body"]) for letter in letters]
    assert landed == list(bad)[:-1]
    assert pa.ipc.open_stream(last).read_all()["speed_kmh"].to_pylist() == [
        -1.0
    ]  # a bad row is its own stream
    assert sum(int(footer["bad"]) for footer in lake.footers()) == len(bad)


async def test_amqp_values_and_gzip_land(world, lake):
    """An AMQP value of text or binary is the body, gzip is expanded; what is no body is kept whole."""
    one, two, three = (msgspec.json.encode(reading(1, number)) for number in (1, 2, 3))
    packed = AmqpAnnotatedMessage(data_body=[gzip.compress(three + b"\n{}")])
    packed.properties = AmqpMessageProperties(content_type=NDJSON, content_encoding="gzip")
    packed.application_properties = {"firmware": "7.1", "slot": 3}
    sent = [
        AmqpAnnotatedMessage(value_body=one.decode()),
        AmqpAnnotatedMessage(value_body=two),
        packed,
        AmqpAnnotatedMessage(value_body={"make": "ford", "year": 2019}),
        AmqpAnnotatedMessage(sequence_body=[[1, "two"], [3.5]], application_properties={"firmware": "7.1"}),
    ]
    await send(world, sent)

    async with ingesting(world):
        await until(lambda: len(lake.letters()) == 3)

    assert set(lake.keys()) == {("v1", 1), ("v1", 2), ("v1", 3)}
    line, value, sequence = lake.letters()
    bodies = [json.loads(base64.b64decode(one["body"])) for one in (line, value, sequence)]
    assert bodies == [{}, {"make": "ford", "year": 2019}, [[1, "two"], [3.5]]]
    assert (line["properties"], "content_encoding" in line) == ({"firmware": "7.1", "slot": 3}, False)
    assert (value["reason"], "properties" in value) == (
        "malformed: the body is an AMQP value that is a map: send it as data, text or binary",
        False,
    )
    assert sequence["properties"] == {"firmware": "7.1"}


async def test_bad_alone_moves_the_chain(world, lake):
    """A range of nothing but bad records commits a zero-row file, so it is not read again for ever."""
    await send(world, [body_event(b"?") for _ in range(3)])
    async with ingesting(world):
        await until(lambda: len(lake.letters()) == 3)
    async with ingesting(world):
        await send(world, [json_event(1, 1)])
        await until(lake.keys)

    assert len(lake.letters()) == 3
    assert [footer["rows"] for footer in lake.footers()] == ["0", "1"]


async def test_an_operator_names_an_event(world, lake):
    """An event named by the operator goes to the dead letters undecoded, and the next ones land."""
    await send(world, [json_event(1, number) for number in (1, 2, 3)])

    async with ingesting(world, dead_letter="0:1"):
        await until(lambda: len(lake.keys()) == 2 and lake.letters())

    (letter,) = lake.letters()
    assert (letter["sequence_number"], letter["reason"]) == (1, "named by operator")


async def test_a_new_field_is_kept(world, lake):
    """An unknown field lands in `extra` and makes no file of its own."""
    body = msgspec.json.decode(msgspec.json.encode(reading(1, 1))) | {"seat_heating": True}
    await send(world, [body_event(msgspec.json.encode(body), JSON), json_event(1, 2)])

    async with ingesting(world):
        await until(lambda: len(lake.keys()) == 2)

    assert lake.rows()["extra"].to_pylist() == ['{"seat_heating":true}', None]
    assert len(lake.files()) == 1


async def test_an_idle_partition_flushes(world, lake):
    """One reading, and then nothing: it lands when it is old enough."""
    async with ingesting(world, roll_max_age_s=0.2):
        await send(world, [json_event(1, 1)], partition="3")
        await until(lake.keys)

    assert [path.name[:3] for path in lake.files()] == ["p03"]


async def test_a_drain_is_whole(world, lake):
    """SIGTERM lands the events received and gives the partitions back."""
    async with ingesting(world, roll_max_age_s=60.0) as running:
        await send(world, [json_event(1, number) for number in range(1, 101)])
        await until(lambda: next_sequence() == 100)
        assert not lake.files()
        running.stop.set()
        await running.task

    assert len(lake.keys()) == 100


async def test_both_streams_land(world, lake):
    """One process lands telemetry and predictions, each by its contract."""
    prediction = {
        "vehicle_id": "v1",
        "reading_no": 1,
        "reading_at": "2026-01-01T00:00:00Z",
        "predicted_at": "2026-01-01T00:00:01Z",
        "price": 9000.0,
        "lower": 8000.0,
        "upper": 10000.0,
        "currency": "GBP",
        "coverage": 0.9,
        "model": "price",
        "version": "1",
        "extrapolated": ["year"],
        "source_partition": 0,
        "source_sequence_number": 0,
        "source_line": 0,
    }
    await send(world, [json_event(1, 1)])
    await send(world, [body_event(msgspec.json.encode(prediction), JSON)], hub="predictions")

    async with ingesting(world, streams="telemetry,predictions"):
        await until(lambda: lake.keys() and lake.keys("predictions"))

    assert lake.rows("predictions")["extrapolated"].to_pylist() == [["year"]]
