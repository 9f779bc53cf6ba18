"""The comparison of a contract with the files that its stream already has. Pure."""

from collections.abc import Iterable

import pyarrow as pa

from shared.lake.slots.footer import Head
from shared.service.errors import ContractChanged


def refuse_changed_columns(stream: str, columns: pa.Schema, heads: Iterable[Head]) -> None:
    """Compare a contract's columns with those of each chain's newest file; new or missing columns are fine.

    Raises ContractChanged if a column has another type in a file, or a name that differs only by case: no
    reader could read both files as one table.
    """
    known = {column.name.lower(): column for head in heads for column in head.columns or ()}
    for column in columns:
        landed = known.get(column.name.lower(), column)
        if landed.name != column.name:
            raise ContractChanged(
                f"the contract of {stream} names a column {column.name}, the files in the lake "
                f"{landed.name}: keep the name as it was, or give the field another one"
            )
        if landed.type != column.type:
            raise ContractChanged(
                f"column {column.name} of {stream} is {column.type} in the contract, {landed.type} in the "
                f"lake: keep {landed.type}, give the field another name, or land a new stream"
            )
