"""Priced readings → the body of an output event, in the form that the readings came in, or a fixed one."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa

from services.scorer.pricing import Priced
from services.scorer.stream.chunks import Chunk
from shared.contract.arrow_bodies import write_stream
from shared.contract.bodies import ARROW, JSON, NDJSON
from shared.contract.columns import PREDICTION
from shared.contract.prediction import Prediction
from shared.model_manifest import Manifest

# What a prediction takes over from its reading.
CARRIED = ("vehicle_id", "reading_no", "reading_at")
_SCHEMA_VERSION = 1

Output = Literal["auto", "ndjson", "arrow"]


class PredictionBodies:
    """Encodes predictions of one model version for one partition."""

    def __init__(self, manifest: Manifest, partition: int, output: Output) -> None:
        self._manifest = manifest
        self._partition = partition
        self._output = output
        self._encoder = msgspec.json.Encoder()

    def encode(self, chunk: Chunk, priced: Priced, predicted_at: datetime) -> tuple[bytes, str]:
        """Body and content type of one output event."""
        if self._output == "arrow" or (self._output == "auto" and chunk.batch is not None):
            return write_stream(self._batch(chunk, priced, predicted_at)), ARROW
        predictions = self._predictions(chunk, priced, predicted_at)
        if len(predictions) == 1:
            return self._encoder.encode(predictions[0]), JSON
        return self._encoder.encode_lines(predictions), NDJSON

    def _predictions(self, chunk: Chunk, priced: Priced, predicted_at: datetime) -> list[Prediction]:
        manifest, partition = self._manifest, self._partition
        columns = (
            *_carried_values(chunk),
            priced.price.tolist(),
            priced.lower.tolist(),
            priced.upper.tolist(),
            priced.extrapolated(),
            chunk.sequences.tolist(),
            chunk.lines.tolist(),
        )
        return [
            Prediction(
                vehicle_id=vehicle_id,
                reading_no=reading_no,
                reading_at=reading_at,
                predicted_at=predicted_at,
                price=price,
                lower=lower,
                upper=upper,
                currency=manifest.currency,
                coverage=manifest.coverage,
                model=manifest.name,
                version=manifest.version,
                extrapolated=extrapolated,
                source_partition=partition,
                source_sequence_number=sequence,
                source_line=line,
            )
            for vehicle_id, reading_no, reading_at, price, lower, upper, extrapolated, sequence, line in zip(
                *columns, strict=True
            )
        ]

    def _batch(self, chunk: Chunk, priced: Priced, predicted_at: datetime) -> pa.RecordBatch:
        manifest = self._manifest
        carried = zip(CARRIED, _carried_columns(chunk), strict=True)
        values: dict[str, Any] = {
            **dict(carried),
            "price": priced.price,
            "lower": priced.lower,
            "upper": priced.upper,
            "extrapolated": _lists(priced),
            "source_sequence_number": chunk.sequences,
            "source_line": chunk.lines.astype(np.int32),
        }
        constants = {
            "predicted_at": predicted_at,
            "schema_version": _SCHEMA_VERSION,
            "currency": manifest.currency,
            "coverage": manifest.coverage,
            "model": manifest.name,
            "version": manifest.version,
            "source_partition": self._partition,
        }
        arrays = [
            pa.repeat(pa.scalar(constants[field.name], field.type), len(chunk))
            if field.name in constants
            else pa.array(values[field.name], field.type)
            for field in PREDICTION.schema
        ]
        return pa.record_batch(arrays, schema=PREDICTION.schema)


def _carried_values(chunk: Chunk) -> list[list[Any]]:
    if chunk.batch is None:
        return [[getattr(record, name) for record in chunk.records] for name in CARRIED]
    vehicle_ids, reading_nos, reading_ats = (chunk.batch.column(name).to_pylist() for name in CARRIED)
    return [vehicle_ids, reading_nos, [at.astimezone(UTC) for at in reading_ats]]


def _carried_columns(chunk: Chunk) -> Sequence[Any]:
    if chunk.batch is not None:
        return [chunk.batch.column(name) for name in CARRIED]
    return _carried_values(chunk)


def _lists(priced: Priced) -> pa.Array:
    """Distinct sets of flags are few: each is made once and taken by index."""
    distinct, index = np.unique(priced.flags, return_inverse=True)
    names = [priced.names_of(int(flags)) for flags in distinct]
    return pa.array(names, pa.list_(pa.string())).take(pa.array(index))
