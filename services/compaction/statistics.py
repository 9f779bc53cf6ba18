"""Column statistics of a file for the Delta log; readers use them to skip files. Pure."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

_POSITION_COLUMNS = frozenset({"partition", "sequence_number"})
_MILLISECOND = timedelta(milliseconds=1)


def indexed_columns(schema: pa.Schema) -> list[str]:
    """Return the columns that get statistics: timestamps, and the columns of a row's position in its hub.

    With statistics of every column, the log would become as large as small files.
    """
    return [
        column.name
        for column in schema
        if column.name in _POSITION_COLUMNS or pa.types.is_timestamp(column.type)
    ]


def encode_statistics(metadata: pq.FileMetaData) -> str:
    """Encode the row count, and the null counts and bounds of the indexed columns.

    A null count or a bound is left out unless every row group has it.
    """
    bounds: dict[str, dict[str, Any]] = {"minValues": {}, "maxValues": {}, "nullCount": {}}
    wanted = indexed_columns(metadata.schema.to_arrow_schema())
    for index in range(metadata.num_columns):
        name = metadata.schema.column(index).path
        if name not in wanted:
            continue
        groups = [metadata.row_group(at).column(index).statistics for at in range(metadata.num_row_groups)]
        if groups and all(group is not None and group.has_null_count for group in groups):
            bounds["nullCount"][name] = sum(group.null_count for group in groups)
        _add_bound(bounds["minValues"], name, groups, min, _floor)
        _add_bound(bounds["maxValues"], name, groups, max, _ceiling)
    return msgspec.json.encode({"numRecords": metadata.num_rows, **bounds}).decode()


def _add_bound(
    bounds: dict[str, Any],
    name: str,
    groups: list[Any],
    pick: Callable[[list[Any]], Any],
    round_timestamp: Callable[[datetime], datetime],
) -> None:
    known = [group for group in groups if group is not None and group.has_min_max]
    if not known or any(group not in known and not _is_all_null(group) for group in groups):
        return
    value = pick([group.min if pick is min else group.max for group in known])
    if isinstance(value, datetime):
        bounds[name] = round_timestamp(value).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    else:
        bounds[name] = value


def _is_all_null(group: Any) -> bool:
    return group is not None and group.has_null_count and group.num_values == 0


def _floor(timestamp: datetime) -> datetime:
    """Round down to milliseconds: the log holds milliseconds, but the columns hold microseconds."""
    return timestamp - timedelta(microseconds=timestamp.microsecond % 1_000)


def _ceiling(timestamp: datetime) -> datetime:
    floor = _floor(timestamp)
    return floor if floor == timestamp else floor + _MILLISECOND
