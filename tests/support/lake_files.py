"""Rows of every type, a contract of the user's own and a footer, for tests of what a file holds."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from shared.lake.slots.footer import Footer
from shared.lake.slots.slot import hour_folder

HOUR = 497_184
FOOTER = Footer(
    first_seq=10,
    last_seq=19,
    last_offset="1234",
    next_first=20,
    next_folder=hour_folder(HOUR + 1),
    rows=9,
    bad=1,
    gap=0,
    attempt="a1",
    dead_letter="dead-letters/telemetry/p03-00000000000000000010-a1.ndjson",
    schema_version=1,
    created_at="2026-01-01T00:00:00Z",
)
# A contract with a column of each type, and with one that has the name of another stream's column.
VISITS = {
    "type": "object",
    "properties": {
        "at": {"type": "string", "format": "date-time"},
        "works": {"type": "array", "items": {"type": "string"}},
        "cost": {"type": "number"},
        "visit": {"type": "integer"},
        "bay": {"type": "integer", "minimum": 0, "maximum": 9},
        "price": {"type": "array", "items": {"type": "number"}},
        "paid": {"type": "boolean"},
    },
}
_AT = datetime(2026, 5, 1, tzinfo=UTC)
_VALUES = {
    pa.types.is_string: lambda row: f"text {row}",
    pa.types.is_floating: lambda row: row * 0.37,
    pa.types.is_integer: lambda row: row,
    pa.types.is_boolean: lambda row: row % 3 == 0,
    pa.types.is_timestamp: lambda row: _AT.replace(microsecond=row),
    pa.types.is_list: lambda _: [],
}


def make_rows(schema, rows=1_000):
    """Make rows in which no two values of a column are alike, as far as its type allows."""
    columns = []
    for column in schema:
        (value,) = [make for is_type, make in _VALUES.items() if is_type(column.type)]
        columns.append(pa.array([value(row) for row in range(rows)], column.type))
    return pa.table(columns, schema=schema)


def summarize(table):
    """Return what each reader must find: rows, values that are there, and the sums of numbers."""
    numbers = [
        one.name for one in table.schema if pa.types.is_integer(one.type) or pa.types.is_floating(one.type)
    ]
    sums = {name: pc.sum(table[name]).as_py() for name in numbers}
    return {
        "rows": table.num_rows,
        "counts": {name: table.num_rows - table[name].null_count for name in table.column_names},
        "sums": {name: found for name, found in sums.items() if found is not None},
    }
