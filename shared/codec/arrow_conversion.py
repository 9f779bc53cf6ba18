"""Conversion of a sender's Arrow columns to the types of a contract.

Writers choose among many types for one kind of value: polars writes string views, pandas int64, DuckDB the
time zone of its session. A column lands if its values can be written in the contract's type; a row with a
value that cannot is refused alone. Times are cut to microseconds.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from shared.codec.arrow_values import Budget, to_json_values
from shared.contract.field_types import EARLIEST, LATEST
from shared.service.errors import BadRecord

_UNITS_PER_S = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


class Converted(NamedTuple):
    """A column in the contract's type; a refused row is null and has a reason."""

    column: Any
    reasons: Mapping[int, str]


def convert_column(name: str, column: Any, declared: pa.DataType, budget: Budget) -> Converted:
    """Convert a column to the type `declared`.

    Raises BadRecord if no value of the column's type can be one of `declared`, or if the values exceed the
    budget.
    """
    if column.type == declared:
        return Converted(column, {})
    plain = to_plain(column, budget)
    kind = column.type if plain is None else plain.type
    if pat.is_null(kind):
        return Converted(pa.nulls(len(column), declared), {})
    for is_declared, is_taken, convert in _CONVERSIONS:
        if is_declared(declared) and is_taken(kind):
            return convert(name, column if plain is None else plain, declared, budget)
    raise BadRecord(f"the Arrow column {name} is {column.type}, the contract says {declared}")


def to_plain(column: Any, budget: Budget) -> Any | None:
    """Return a column without dictionary, runs, views or extension type; None if its values are nested.

    Raises BadRecord if the values, each counted as often as it is used, exceed the budget.
    """
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return to_plain(column.storage, budget)
    if pat.is_dictionary(kind) or pat.is_run_end_encoded(kind):
        values = to_plain(column.dictionary if pat.is_dictionary(kind) else column.values, budget)
        if values is None:
            return None
        places = column.indices if pat.is_dictionary(kind) else _run_of_each_row(column)
        if pat.is_binary(values.type) or pat.is_string(values.type) or pat.is_large_string(values.type):
            budget.spend(pc.sum(pc.binary_length(values).take(places)).as_py() or 0)
        return values.take(places)
    if pat.is_string_view(kind) or pat.is_binary_view(kind):
        budget.spend(_count_view_bytes(column))
        return column.cast(pa.large_string() if pat.is_string_view(kind) else pa.large_binary())
    return None if pat.is_nested(kind) else column


def _run_of_each_row(column: Any) -> pa.Array:
    """Return for each row of a run-end encoded column the index of its run."""
    rows = np.arange(column.offset, column.offset + len(column))
    return pa.array(np.searchsorted(column.run_ends.to_numpy(), rows, side="right"), pa.int64())


def _count_view_bytes(column: Any) -> int:
    """Return the total length of the texts of a view column; many views may share their bytes.

    A view has 16 bytes, the first four of which are its length [Arrow columnar format, "Variable-size Binary
    View Layout"].
    """
    views = column.buffers()[1]
    if views is None or not len(column):
        return 0
    lengths = np.frombuffer(views, dtype="<i4")[:: 16 // 4]
    return int(lengths[column.offset : column.offset + len(column)].sum(dtype=np.int64))


def _convert_each(
    name: str, column: Any, declared: pa.DataType, convert: Callable[[Any], Any], expected: str
) -> Converted:
    """Convert value by value; a value for which `convert` raises an exception is refused."""
    values: list[Any] = []
    reasons: dict[int, str] = {}
    for row, value in enumerate(column.to_pylist()):
        try:
            values.append(None if value is None else convert(value))
        except (ValueError, OverflowError):
            values.append(None)
            reasons[row] = f"{name} is not {expected}"
    return Converted(pa.array(values, declared), reasons)


def _to_integers(name: str, column: Any, declared: pa.DataType, _budget: Budget) -> Converted:
    try:
        return Converted(pc.cast(column, declared), {})
    except pa.ArrowInvalid:
        limits = np.iinfo(declared.to_pandas_dtype())

        def to_integer(value: Any) -> int:
            number = int(value)  # of NaN and the infinities this raises
            if number != value or not limits.min <= number <= limits.max:
                raise ValueError
            return number

        expected = f"a whole number from {limits.min} to {limits.max}"
        return _convert_each(name, column, declared, to_integer, expected)


def _to_floats(_name: str, column: Any, declared: pa.DataType, _budget: Budget) -> Converted:
    return Converted(pc.cast(column, declared, safe=False), {})


def _to_texts(name: str, column: Any, declared: pa.DataType, budget: Budget) -> Converted:
    budget.spend(column.nbytes)
    try:
        return Converted(pc.cast(column, declared), {})
    except pa.ArrowInvalid:  # bytes that are not UTF-8
        return _convert_each(name, column, declared, lambda value: value.decode(), "UTF-8")


def _to_instants(name: str, column: Any, declared: pa.DataType, _budget: Budget) -> Converted:
    """Convert instants of any unit; the zone is only how a reader would show them."""
    if column.type.tz is None:
        raise BadRecord(f"the Arrow column {name} is {column.type}: give it a time zone, for example UTC")
    per_s = _UNITS_PER_S[column.type.unit]
    earliest, latest = (int(limit.timestamp()) for limit in (EARLIEST, LATEST))
    ticks = column.view(pa.int64())
    is_inside = pc.and_(
        pc.greater_equal(ticks, earliest * per_s), pc.less_equal(ticks, min(latest * per_s, 2**63 - 1))
    )
    outside = pc.indices_nonzero(pc.invert(pc.fill_null(is_inside, True))).to_pylist()
    inside = pc.if_else(is_inside, ticks, pa.scalar(None, pa.int64()))
    per_us = _UNITS_PER_S["us"]
    cut = pc.divide(inside, per_s // per_us) if per_s > per_us else pc.multiply(inside, per_us // per_s)
    reason = f"{name} is outside {EARLIEST.year} to {LATEST.year}"
    return Converted(cut.view(declared), dict.fromkeys(outside, reason))


def _to_lists(name: str, column: Any, declared: pa.DataType, budget: Budget) -> Converted:
    try:
        return Converted(pa.array(to_json_values(column, budget), declared), {})
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise BadRecord(f"the Arrow column {name} is {column.type}, the contract says {declared}") from error


def _is_number(kind: pa.DataType) -> bool:
    return bool(pat.is_integer(kind) or pat.is_floating(kind) or pat.is_decimal(kind))


def _is_text_or_bytes(kind: pa.DataType) -> bool:
    return bool(
        pat.is_string(kind) or pat.is_large_string(kind) or pat.is_binary(kind) or pat.is_large_binary(kind)
    )


_Test = Callable[[pa.DataType], bool]
# What a declared type is converted from: a test of the declared type, one of the sender's, and the function.
_CONVERSIONS: tuple[tuple[_Test, _Test, Callable[[str, Any, pa.DataType, Budget], Converted]], ...] = (
    (pat.is_integer, _is_number, _to_integers),
    (pat.is_floating, _is_number, _to_floats),
    (pat.is_string, _is_text_or_bytes, _to_texts),
    (pat.is_timestamp, pat.is_timestamp, _to_instants),
    (pat.is_list, pat.is_nested, _to_lists),
)
