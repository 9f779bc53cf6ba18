"""Readings and bodies of events, good and bad ones."""

from datetime import UTC, datetime

import msgspec
import pyarrow as pa

from shared.codec.arrow_bodies import write_stream
from shared.codec.body_decoder import ARROW, JSON, NDJSON
from shared.codec.record_batches import build_batch
from shared.contract.columns import READING
from shared.contract.reading import Reading


def reading(number, **fields):
    return Reading(
        **{
            "vehicle_id": "v-1",
            "reading_no": number,
            "reading_at": datetime(2026, 5, 1, 12, tzinfo=UTC),
            "make": "ford",
            "model": "Focus",
            "year": 2017,
            **fields,
        }
    )


def encode_json(number, **changes):
    return msgspec.json.encode(msgspec.to_builtins(reading(number)) | changes)


def build_arrow(*readings):
    return build_batch(READING, readings, [None] * len(readings)).select(READING.schema.names)


ONE, TWO = encode_json(1), encode_json(2)
OUT_OF_RANGE = encode_json(3, reading_at="0001-01-01T00:00:00+14:00")
# Bodies that a sender may write, by mistake or to make the records of others disappear, split or shift.
BODIES = [
    (ONE, JSON),
    (TWO, JSON),
    (ONE, None),
    (ONE, "application/json; charset=utf-8"),
    (ONE, "text/plain"),
    (b" \n" + TWO + b"\n ", JSON),
    (ONE + b"," + TWO, JSON),
    (ONE + TWO, JSON),
    (ONE + b"\n" + TWO, JSON),
    (ONE + b"],[" + TWO, JSON),
    (ONE[:40], JSON),
    (ONE[40:], JSON),
    (b"[" + ONE + b"," + TWO + b"]", JSON),
    (b"", JSON),
    (b"\n", JSON),
    (b"null", JSON),
    (b"{}", JSON),
    (b"]", JSON),
    (b"\xff\xfe", JSON),
    (b'"' + b"x" * 70_000 + b'"', JSON),
    (encode_json(3, wiper={"front": 1}), JSON),
    (encode_json(3, year=1700), JSON),
    (OUT_OF_RANGE, JSON),
    (OUT_OF_RANGE, NDJSON),
    (ONE + b"\n" + TWO, NDJSON),
    (ONE + b"\r\n" + TWO + b"\r\n", NDJSON),
    (ONE + b"\n\n" + TWO + b"\n", NDJSON),
    (ONE + TWO, NDJSON),
    (ONE + TWO + b"\n" + ONE[:40] + b"\n" + ONE[40:], NDJSON),
    (ONE[:40] + b"\n" + ONE[40:] + b"\n" + TWO, NDJSON),
    (ONE + b"\n{}\n" + TWO, NDJSON),
    (encode_json(3, wiper="on") + b"\n" + TWO, NDJSON),
    (b"", NDJSON),
    (write_stream(build_arrow(reading(1), reading(2))), ARROW),
    (write_stream(build_arrow(reading(3))), None),
    (write_stream(build_arrow(reading(1), reading(2, year=1700), reading(3))), ARROW),
    (write_stream(build_arrow(reading(1, speed_kmh=float("nan")))), ARROW),
    (write_stream(build_arrow(reading(1)).append_column("wiper", pa.array(["on"]))), ARROW),
    (write_stream(build_arrow(reading(1)).select(["vehicle_id", "reading_no", "reading_at"])), ARROW),
    (write_stream(build_arrow(reading(1)).drop_columns(["vin"])), ARROW),
    (write_stream(build_arrow()), ARROW),
    (write_stream(build_arrow(reading(1)))[:-100], ARROW),
    (ONE, ARROW),
    (b"\xef\xbb\xbf" + ONE, JSON),
    (b"\xef\xbb\xbf" + ONE + b"\n" + TWO, NDJSON),
    (ONE.replace(b"2017", b"2017.0"), JSON),
    (ONE.replace(b"2017", b"2017.0") + b"\n" + TWO, NDJSON),
    (ONE.replace(b"2017", b"NaN") + b"\n" + TWO, NDJSON),
    (ONE.replace(b",", b",\n"), NDJSON),
    (ONE.replace(b",", b",\n").replace(b"2017", b"NaN"), NDJSON),
    (b"[" + ONE + b"," + TWO.replace(b"2017", b"NaN") + b"]", JSON),
]
