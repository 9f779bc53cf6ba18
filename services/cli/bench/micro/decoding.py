"""Decoding of event bodies to raw rows, compared with the bare parser of each format."""

from datetime import UTC, datetime

import msgspec
import pyarrow as pa

from services.cli.bench.micro.figures import Figure, measure
from shared.codec.arrow_bodies import write_stream
from shared.codec.body_decoder import ARROW, JSON, NDJSON, BodyDecoder
from shared.codec.record_batches import build_batch
from shared.codec.row_buffer import EventOrigin, RowBuffer
from shared.contract.columns import READING
from shared.contract.reading import Reading

PACK, READINGS = 200, 20_000


def make_readings(count: int) -> list[Reading]:
    at = datetime(2026, 5, 1, tzinfo=UTC)
    return [
        Reading(
            vehicle_id=f"v{index}",
            reading_no=index + 1,
            reading_at=at,
            make="ford",
            model="Focus",
            year=2017,
            transmission="manual",
            fuel_type="petrol",
            engine_l=1.0,
            odometer_km=45_000.5 + index,
            rated_consumption_l_100km=5.2,
            speed_kmh=50.5,
            latitude=51.5,
            longitude=-0.1,
            dtc_count=0,
        )
        for index in range(count)
    ]


def decode_rows(bodies: list[bytes], content_type: str) -> int:
    """Decode and buffer event bodies, as ingest does before it writes a file. Return the number of rows."""
    decoder, buffer = BodyDecoder(READING), RowBuffer(READING, 0)
    for sequence, body in enumerate(bodies):
        buffer.add(decoder.decode(body, content_type), EventOrigin(0, sequence, str(sequence), sequence))
    return int(buffer.table().num_rows)


def figures() -> list[Figure]:
    pack = make_readings(PACK)
    single = [msgspec.json.encode(pack[0])] * READINGS
    lines = [b"\n".join(map(msgspec.json.encode, pack))] * (READINGS // PACK)
    batch = build_batch(READING, pack, [None] * PACK).select(READING.schema.names)
    arrow = [write_stream(batch)] * (READINGS // PACK)
    bare = msgspec.json.Decoder(Reading)
    return [
        measure(
            "decode_json",
            "readings/s",
            READINGS,
            lambda: decode_rows(single, JSON),
            lambda: [bare.decode(body) for body in single],
        ),
        measure(
            "decode_ndjson",
            "readings/s",
            READINGS,
            lambda: decode_rows(lines, NDJSON),
            lambda: [bare.decode_lines(body) for body in lines],
        ),
        measure(
            "decode_arrow",
            "readings/s",
            READINGS,
            lambda: decode_rows(arrow, ARROW),
            lambda: [pa.ipc.open_stream(body).read_all().validate(full=True) for body in arrow],
        ),
    ]
