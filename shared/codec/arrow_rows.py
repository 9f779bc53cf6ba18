"""Arrow bodies as a contract's rows: checked against its bounds and brought into its columns."""

from typing import Any

import msgspec
import pyarrow as pa

from shared.codec.arrow_bodies import cached_schema_reader, read_batches
from shared.codec.bounds import Bounds
from shared.codec.fast_path.null_columns import DefaultColumns, share_nulls
from shared.contract.columns import Contract


class ArrowRows:
    """Reads the Arrow bodies of one contract."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._bounds = Bounds(contract)
        self._schema_of = cached_schema_reader(contract.schema)
        self._known = frozenset(contract.schema.names)
        self._absent = DefaultColumns(contract)

    def read(self, body: bytes) -> list[pa.RecordBatch]:
        """Validated batches of a body, in the sender's columns. Raises BadRecord."""
        return read_batches(body, self._schema_of)

    def violations(self, batch: pa.RecordBatch) -> dict[int, str]:
        """Row number → the first bound it breaks."""
        return self._bounds.violations(batch)

    def aligned(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The contract's columns in its order, absent ones at their default, unknown ones in `extra`."""
        rows, names = batch.num_rows, set(batch.schema.names)
        arrays: list[Any] = [
            share_nulls(batch.column(name)) if name in names else self._absent.column(name, rows)
            for name in self.contract.schema.names
        ]
        unknown = sorted(names - self._known)
        if unknown:
            extras = [msgspec.json.encode(row).decode() for row in batch.select(unknown).to_pylist()]
        arrays.append(pa.array(extras, pa.string()) if unknown else self._absent.unknown(rows))
        return pa.record_batch(arrays, schema=self.contract.columns)
