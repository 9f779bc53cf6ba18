"""Reader from Arrow bodies to rows of a contract, in its columns and checked against its bounds."""

from typing import Any

import msgspec
import pyarrow as pa

from shared.codec.arrow_bodies import cached_schema_reader, read_batches
from shared.codec.bounds import Bounds
from shared.codec.fast_path.null_columns import DefaultColumns, share_nulls
from shared.contract.columns import Contract


class ArrowRows:
    """Reader of one contract's Arrow bodies."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._bounds = Bounds(contract)
        self._read_schema = cached_schema_reader(contract.schema)
        self._known = frozenset(contract.schema.names)
        self._defaults = DefaultColumns(contract)

    def read(self, body: bytes) -> list[pa.RecordBatch]:
        """Return the validated batches of a body, in the sender's columns.

        Raises BadRecord if the body is not valid Arrow, exceeds a bound or contradicts the contract's schema.
        """
        return read_batches(body, self._read_schema)

    def find_violations(self, batch: pa.RecordBatch) -> dict[int, str]:
        """Return the rows that break the contract, each with the reason for its first violation."""
        return self._bounds.find_violations(batch)

    def align(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch in the contract's columns, in the contract's order.

        Absent columns get their default value; unknown columns are encoded as JSON into `extra`.
        """
        rows, names = batch.num_rows, set(batch.schema.names)
        arrays: list[Any] = [
            share_nulls(batch.column(name)) if name in names else self._defaults.column(name, rows)
            for name in self.contract.schema.names
        ]
        unknown = sorted(names - self._known)
        if unknown:
            extras = [msgspec.json.encode(row).decode() for row in batch.select(unknown).to_pylist()]
        arrays.append(pa.array(extras, pa.string()) if unknown else self._defaults.null_extra(rows))
        return pa.record_batch(arrays, schema=self.contract.columns)
