"""Encoding of priced readings as bodies of output events, in the readings' format or a fixed one."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import repeat
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa

from services.scorer.stream.chunks import Chunk
from shared.codec.arrow_bodies import write_stream
from shared.codec.body_decoder import ARROW, JSON, NDJSON
from shared.contract.columns import INSTANT, PREDICTION
from shared.contract.prediction import Prediction
from shared.pricing.pricer import Priced
from shared.registry.model_manifest import Manifest

# Fields that a prediction copies from its reading.
CARRIED = ("vehicle_id", "reading_no", "reading_at")
_SCHEMA_VERSION = 1
# 1,000 lines of the longest contents stay below the hub's limit of 1 MiB an event, and so does a body of
# 900,000 bytes of columns (tests check both).
MAX_LINES = 1_000
_MAX_BYTES = 900_000

Output = Literal["auto", "ndjson", "arrow"]
Body = tuple[bytes, str]

_FIELDS = [field for field in msgspec.structs.fields(Prediction) if field.name != "schema_version"]
# A Prediction with its fields by position, so that whole columns become rows without a loop. `schema_version`
# is left out, as 1 is the default.
_Line: Any = msgspec.defstruct(
    "Line", [(field.name, field.type) for field in _FIELDS], frozen=True, gc=False, omit_defaults=True
)


class PredictionBodies:
    """An encoder of one model version's predictions for one partition."""

    def __init__(self, manifest: Manifest, partition: int, output: Output) -> None:
        self._output = output
        self._constants = {
            "currency": manifest.currency,
            "coverage": manifest.coverage,
            "model": manifest.name,
            "version": manifest.version,
            "source_partition": partition,
        }
        self._repeated_rows = 0
        self._repeated_columns: dict[str, pa.Array] = {}
        self._encoder = msgspec.json.Encoder()

    def encode(
        self, chunk: Chunk, priced: Priced, predicted_at: datetime, max_rows: int
    ) -> Iterator[tuple[Chunk, Body]]:
        """Split a chunk, and yield each part with its output event's body and content type.

        A part has at most `max_rows` readings, or fewer if its body would be too large for an event.
        """
        if self._output == "arrow" or (self._output == "auto" and chunk.is_arrow):
            batch = self._build_batch(chunk, priced, predicted_at)
            for start, rows in _split_to_fit(batch, 0, len(chunk), max_rows):
                yield chunk.slice_rows(start, rows), (write_stream(batch.slice(start, rows)), ARROW)
            return
        max_rows = min(max_rows, MAX_LINES)
        lines = self._build_lines(chunk, priced, predicted_at)
        for start in range(0, len(chunk), max_rows):
            yield chunk.slice_rows(start, max_rows), self._encode_json(lines[start : start + max_rows])

    def _encode_json(self, lines: Sequence[Any]) -> Body:
        if len(lines) == 1:
            return self._encoder.encode(lines[0]), JSON
        return self._encoder.encode_lines(lines), NDJSON

    def _build_lines(self, chunk: Chunk, priced: Priced, predicted_at: datetime) -> list[Any]:
        values: dict[str, Any] = {
            **self._constants,
            "predicted_at": predicted_at,
            **dict(zip(CARRIED, _read_carried_values(chunk), strict=True)),
            "price": priced.price.tolist(),
            "lower": priced.lower.tolist(),
            "upper": priced.upper.tolist(),
            "extrapolated": priced.extrapolated(),
            "source_sequence_number": chunk.sequences.tolist(),
            "source_line": chunk.lines.tolist(),
        }
        columns = [values[field.name] for field in _FIELDS]
        return list(map(_Line, *(one if isinstance(one, list) else repeat(one) for one in columns)))

    def _build_batch(self, chunk: Chunk, priced: Priced, predicted_at: datetime) -> pa.RecordBatch:
        rows = len(chunk)
        values: dict[str, Any] = {
            **{name: column.slice(0, rows) for name, column in self._repeat(rows).items()},
            **dict(zip(CARRIED, _read_carried_columns(chunk), strict=True)),
            "predicted_at": pa.repeat(pa.scalar(predicted_at, INSTANT), rows),
            "price": priced.price,
            "lower": priced.lower,
            "upper": priced.upper,
            "extrapolated": _list_flags(priced),
            "source_sequence_number": chunk.sequences,
            "source_line": chunk.lines.astype(np.int32),
        }
        arrays = [pa.array(values[field.name], field.type) for field in PREDICTION.schema]
        return pa.record_batch(arrays, schema=PREDICTION.schema)

    def _repeat(self, rows: int) -> dict[str, pa.Array]:
        """Return the columns of constants, at least `rows` long.

        They are cached, because making them is the largest cost of encoding.
        """
        if rows > self._repeated_rows:
            constants = {**self._constants, "schema_version": _SCHEMA_VERSION}
            self._repeated_columns = {
                name: pa.repeat(pa.scalar(value, PREDICTION.schema.field(name).type), rows)
                for name, value in constants.items()
            }
            self._repeated_rows = rows
        return self._repeated_columns


def _split_to_fit(batch: pa.RecordBatch, start: int, end: int, max_rows: int) -> Iterator[tuple[int, int]]:
    """Split the rows from `start` to `end`; yield each part's start and length.

    A part has at most `max_rows` rows, and is small enough for one event.
    """
    for first in range(start, end, max_rows):
        rows = min(max_rows, end - first)
        if rows > 1 and batch.slice(first, rows).nbytes > _MAX_BYTES:
            yield from _split_to_fit(batch, first, first + rows, (rows + 1) // 2)
        else:
            yield first, rows


def _read_carried_values(chunk: Chunk) -> list[list[Any]]:
    if chunk.batch is None:
        return [[getattr(record, name) for record in chunk.records] for name in CARRIED]
    vehicle_ids, reading_nos, reading_ats = (chunk.batch.column(name).to_pylist() for name in CARRIED)
    return [vehicle_ids, reading_nos, [at.astimezone(UTC) for at in reading_ats]]


def _read_carried_columns(chunk: Chunk) -> Sequence[Any]:
    if chunk.batch is not None:
        return [chunk.batch.column(name) for name in CARRIED]
    return _read_carried_values(chunk)


def _list_flags(priced: Priced) -> pa.Array:
    """Return the flag names of each row; each distinct set (there are few) is looked up only once."""
    encoded = pa.array(priced.flags).dictionary_encode()
    names = [priced.names_of(flags) for flags in encoded.dictionary.to_pylist()]
    return pa.array(names, pa.list_(pa.string())).take(encoded.indices)
