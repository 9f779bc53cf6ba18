"""Records of a contract as Arrow record batches."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa
from msgspec import Struct

from shared.codec.fast_path.arrow_builders import build_array
from shared.contract.columns import Contract


def build_batch(
    contract: Contract, records: Sequence[Struct], extras: Sequence[str | None]
) -> pa.RecordBatch:
    """Return the records as the contract's columns plus `extra`, one row a record, in order."""
    rows = map(msgspec.structs.astuple, records)
    values: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) or [()] * len(contract.schema)
    arrays = [build_array(column, field.type) for column, field in zip(values, contract.schema, strict=True)]
    return pa.record_batch([*arrays, pa.array(extras, pa.string())], schema=contract.columns)
