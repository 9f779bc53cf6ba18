"""Conversion of a contract's records to Arrow record batches."""

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
    """Return a batch with the contract's columns and the column `extra`.

    Row i holds `records[i]` and `extras[i]`.
    """
    rows = map(msgspec.structs.astuple, records)
    values: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) or [()] * len(contract.schema)
    arrays = [build_array(column, field.type) for column, field in zip(values, contract.schema, strict=True)]
    return pa.record_batch([*arrays, pa.array(extras, pa.string())], schema=contract.columns)
