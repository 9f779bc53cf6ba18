"""Reader from Arrow bodies to rows of a contract, in its columns and checked against its bounds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa

from shared.codec.arrow_bodies import (
    MAX_UNCOMPRESSED_BYTES,
    BodyLimits,
    Stream,
    cached_schema_reader,
    read_stream,
    write_stream,
)
from shared.codec.arrow_conversion import convert_column, to_plain
from shared.codec.arrow_values import Budget, to_json_values
from shared.codec.bounds import Bounds
from shared.codec.fast_path.null_columns import DefaultColumns, join_batches, share_nulls
from shared.contract.columns import Contract
from shared.service.errors import BadRecord


@dataclass(frozen=True, slots=True)
class AlignedRows:
    """A batch in the contract's columns.

    `reasons` says for each row that breaks the contract why; `encode_row` returns such a row as an Arrow
    stream.
    """

    batch: pa.RecordBatch
    reasons: Mapping[int, str]
    encode_row: Callable[[int], bytes]


class ArrowRows:
    """Reader of one contract's Arrow bodies."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._bounds = Bounds(contract)
        self._read_schema = cached_schema_reader(contract.schema)
        self._known = frozenset(contract.schema.names)
        self._defaults = DefaultColumns(contract)

    def read_regular(self, body: bytes) -> list[pa.RecordBatch]:
        """Return the validated batches of a body that holds one regular stream, in the sender's columns.

        Raises BadRecord if the body is not valid, exceeds a limit or is not regular.
        """
        stream = self.read_stream(body, 0, BodyLimits())
        if not stream.sender.is_regular or stream.end < len(body):
            raise BadRecord("not a single regular stream")
        return stream.batches

    def read_stream(self, body: bytes, at: int, limits: BodyLimits) -> Stream:
        """Return the stream of a body that begins at `at`.

        Raises BadRecord if it is not valid, exceeds a limit or lacks a required column.
        """
        return read_stream(body, at, self._read_schema, limits)

    def find_violations(self, batch: pa.RecordBatch) -> dict[int, str]:
        """Return the rows that break the contract, each with the reason for its first violation."""
        return self._bounds.find_violations(batch)

    def align(self, batch: pa.RecordBatch, budget: Budget | None = None) -> pa.RecordBatch:
        """Return a batch of a regular stream in the contract's columns, in the contract's order.

        Absent columns get their default value; unknown columns are encoded as JSON into `extra`. Raises
        BadRecord if the unknown columns exceed the budget.
        """
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        return self._assemble(batch, columns, budget or _new_budget())

    def align_stream(self, stream: Stream, budget: Budget) -> Sequence[AlignedRows]:
        """Return the batches of any stream in the contract's columns; see `align`.

        Raises BadRecord if a column has a type that cannot be converted, or the values exceed the budget.
        """
        if not stream.sender.is_regular:
            return [self._align_irregular(batch, budget) for batch in stream.batches]
        batch = join_batches(stream.batches)
        if batch is None:
            return []
        reasons = self.find_violations(batch)
        return [AlignedRows(self.align(batch, budget), reasons, partial(_encode_row, batch))]

    def _align_irregular(self, batch: pa.RecordBatch, budget: Budget) -> AlignedRows:
        columns: dict[str, Any] = dict(zip(batch.schema.names, batch.columns, strict=True))
        reasons: dict[int, str] = {}
        for field in self.contract.schema:
            if field.name in columns:
                converted = convert_column(field.name, columns[field.name], field.type, budget)
                columns[field.name] = converted.column
                reasons = {**converted.reasons, **reasons}
        known = {name: column for name, column in columns.items() if name in self._known}
        checked = pa.record_batch([*known.values()], names=[*known])
        reasons = {**self.find_violations(checked), **reasons}
        aligned = self._assemble(batch, columns, budget)
        return AlignedRows(aligned, reasons, partial(_encode_row, batch))

    def _assemble(self, batch: pa.RecordBatch, columns: Mapping[str, Any], budget: Budget) -> pa.RecordBatch:
        rows = batch.num_rows
        arrays: list[Any] = [
            share_nulls(columns[name]) if name in columns else self._defaults.column(name, rows)
            for name in self.contract.schema.names
        ]
        unknown = sorted(columns.keys() - self._known)
        if unknown:
            values = [to_json_values(columns[name], budget) for name in unknown]
            encode = msgspec.json.Encoder().encode
            texts = [
                encode(dict(zip(unknown, row, strict=True))).decode() for row in zip(*values, strict=True)
            ]
            arrays.append(pa.array(texts, pa.string()))
        else:
            arrays.append(self._defaults.null_extra(rows))
        return pa.record_batch(arrays, schema=self.contract.columns)


def _encode_row(batch: pa.RecordBatch, row: int) -> bytes:
    """Encode a row as the sender wrote it, but its dictionaries, runs and views as plain values.

    They would bring the values of all rows along. A nested value becomes its JSON text.
    """
    one = batch.slice(row, 1)
    return write_stream(pa.record_batch([*map(_to_single_value, one.columns)], names=one.schema.names))


def _to_single_value(column: Any) -> Any:
    plain = to_plain(column, _new_budget())
    if plain is None:
        [value] = to_json_values(column, _new_budget())
        return pa.array([None if value is None else msgspec.json.encode(value).decode()], pa.large_string())
    return plain


def _new_budget() -> Budget:
    return Budget(MAX_UNCOMPRESSED_BYTES)
