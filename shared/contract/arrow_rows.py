"""Arrow bodies as a contract's rows: checked against its bounds and brought into its columns."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa

from shared.contract.arrow_bodies import read_batches
from shared.contract.bounds import Bounds
from shared.contract.columns import Contract


class ArrowRows:
    """Reads the Arrow bodies of one contract."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._bounds = Bounds(contract)
        self._known = frozenset(contract.schema.names)
        self._absent = {
            field.encode_name: pa.scalar(
                None if field.required else field.default, contract.schema.field(field.encode_name).type
            )
            for field in msgspec.structs.fields(contract.record)
        }

    def read(self, body: bytes) -> list[pa.RecordBatch]:
        """Validated batches of a body, in the sender's columns. Raises BadRecord."""
        return read_batches(body, self.contract.schema)

    def violations(self, batch: pa.RecordBatch) -> dict[int, str]:
        """Row number → the first bound it breaks."""
        return self._bounds.violations(batch)

    def aligned(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The contract's columns in its order, absent ones at their default, unknown ones in `extra`."""
        rows, names = batch.num_rows, set(batch.schema.names)
        arrays: list[Any] = [
            batch.column(name) if name in names else pa.repeat(self._absent[name], rows)
            for name in self.contract.schema.names
        ]
        unknown = sorted(names - self._known)
        if unknown:
            extras = [msgspec.json.encode(row).decode() for row in batch.select(unknown).to_pylist()]
        arrays.append(pa.array(extras, pa.string()) if unknown else pa.nulls(rows, pa.string()))
        return pa.record_batch(arrays, schema=self.contract.columns)


def joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch | None:
    """One batch of all rows; None where there are none."""
    if len(batches) == 1:
        return batches[0]
    whole = pa.Table.from_batches(batches).combine_chunks().to_batches() if batches else []
    return whole[0] if whole else None
