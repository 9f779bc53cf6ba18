"""Arrow values of any type as JSON values, without loss. Pure.

Numbers, texts and booleans stay what they are, and nested values become arrays and objects. Bytes become
base64. Times become ISO 8601 text: instants in UTC, nanoseconds with nine digits, years beyond 9999 with a
sign. A number that JSON has no form for becomes text: NaN, an infinity, a decimal.
"""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from math import isfinite
from typing import Any

import pyarrow as pa
import pyarrow.types as pat

from shared.service.errors import BadRecord

_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_DAY_S, _DAY_MS = 86_400, 86_400_000
_EPOCH, _MAX_YEAR, _DAYS_PER_CYCLE = date(1970, 1, 1), 9_999, 146_097
_MAX_TIMEDELTA_S = 999_999_999 * _DAY_S
# The assumed memory of one element as a Python object.
_ELEMENT_BYTES = 32


class Budget:
    """The bytes that the values of one body may take once they are expanded."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = self._left_bytes = size_bytes

    def spend(self, size_bytes: int) -> None:
        """Take `size_bytes` from the budget. Raises BadRecord if so much is not left."""
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            raise BadRecord(f"an Arrow body holds at most {self._size_bytes} bytes uncompressed")


def to_json_values(column: pa.Array, budget: Budget) -> list[Any]:
    """Return values that `msgspec.json.encode` takes, one for each row; null is None.

    Raises BadRecord if they exceed the budget, or if there is no form for the column's type.
    """
    kind = column.type
    if pat.is_boolean(kind) or pat.is_integer(kind) or pat.is_string(kind) or pat.is_large_string(kind):
        budget.spend(column.nbytes + _ELEMENT_BYTES * len(column))
        values: list[Any] = column.to_pylist()
        return values
    return [_to_json(scalar, budget) for scalar in column]


def _to_json(scalar: Any, budget: Budget) -> Any:
    """Convert one value; nested values are converted one by one, so that the budget is never far exceeded."""
    budget.spend(_ELEMENT_BYTES)
    if not scalar.is_valid:
        return None
    kind = scalar.type
    if pat.is_dictionary(kind):
        return _to_json(scalar.dictionary[scalar.index.as_py()], budget)
    if pat.is_union(kind) or pat.is_run_end_encoded(kind):
        return _to_json(scalar.value, budget)
    if isinstance(kind, pa.BaseExtensionType):
        return str(scalar.as_py()) if isinstance(kind, pa.UuidType) else _to_json(scalar.value, budget)
    return _nested_to_json(scalar, budget) if pat.is_nested(kind) else _leaf_to_json(scalar, budget)


def _nested_to_json(scalar: Any, budget: Budget) -> Any:
    kind = scalar.type
    if pat.is_map(kind):
        pairs = [
            (_to_json(pair[0], budget), _to_json(pair[1], budget)) for pair in map(_fields_of, scalar.values)
        ]
        return _to_object(pairs)
    if pat.is_struct(kind):
        names = [field.name for field in kind]
        return _to_object([*zip(names, (_to_json(one, budget) for one in _fields_of(scalar)), strict=True)])
    return [_to_json(item, budget) for item in scalar.values]


def _fields_of(scalar: Any) -> list[Any]:
    """Return the values of a struct by position: names may repeat."""
    return [scalar[index] for index in range(len(scalar.type))]


def _to_object(pairs: Sequence[tuple[Any, Any]]) -> Any:
    """Return an object, or a list of pairs if a key is not a text or repeats."""
    keys = [key for key, _ in pairs]
    is_object = all(isinstance(key, str) for key in keys) and len(set(keys)) == len(keys)
    return dict(pairs) if is_object else [list(pair) for pair in pairs]


def _leaf_to_json(scalar: Any, budget: Budget) -> Any:
    kind = scalar.type
    for is_kind, convert in _LEAVES:
        if is_kind(kind):
            return convert(scalar)
    value = scalar.as_py()
    if isinstance(value, float):
        return (
            value if isfinite(value) else {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
        )
    if isinstance(value, bytes | str):
        budget.spend(len(value))
        return value
    if isinstance(value, bool | int):
        return value
    return str(value)  # a decimal


def _format_timestamp(scalar: Any) -> str:
    seconds, fraction = divmod(scalar.value, _UNITS[scalar.type.unit])
    days, second = divmod(seconds, _DAY_S)
    zone = "" if scalar.type.tz is None else "Z"
    return f"{_format_date(days)}T{_format_clock(second, fraction, scalar.type.unit)}{zone}"


def _format_time(scalar: Any) -> str:
    second, fraction = divmod(scalar.value, _UNITS[scalar.type.unit])
    return _format_clock(second, fraction, scalar.type.unit)


def _format_duration(scalar: Any) -> str | timedelta:
    unit = scalar.type.unit
    seconds, fraction = divmod(abs(scalar.value), _UNITS[unit])
    if unit != "ns" and seconds < _MAX_TIMEDELTA_S:
        return timedelta(microseconds=scalar.value * (1_000_000 // _UNITS[unit]))
    return f"{'-' if scalar.value < 0 else ''}PT{seconds}{_format_fraction(fraction, unit)}S"


def _format_interval(scalar: Any) -> str:
    months, days, nanoseconds = scalar.as_py()
    seconds, fraction = divmod(abs(nanoseconds), _UNITS["ns"])
    sign = "-" if nanoseconds < 0 else ""
    return f"P{months}M{days}DT{sign}{seconds}{_format_fraction(fraction, 'ns')}S"


def _format_clock(second: int, fraction: int, unit: str) -> str:
    hour, minute = divmod(second // 60, 60)
    return f"{hour:02}:{minute:02}:{second % 60:02}{_format_fraction(fraction, unit)}"


def _format_fraction(fraction: int, unit: str) -> str:
    """Return the digits behind the second: nine for nanoseconds, else six, or none if they would be zero."""
    if unit == "ns":
        return f".{fraction:09}"
    return f".{fraction * (1_000_000 // _UNITS[unit]):06}" if fraction else ""


def _format_date(days: int) -> str:
    """Return the date `days` after 1970-01-01 in the proleptic Gregorian calendar, for any year.

    Python's own dates end with the year 9999. The calendar repeats every 400 years, which are 146,097 days.
    """
    cycles, day = divmod(days, _DAYS_PER_CYCLE)
    same_day = _EPOCH + timedelta(days=day)
    year = same_day.year + 400 * cycles
    text = f"{year:04}" if 0 <= year <= _MAX_YEAR else f"{year:+07}"
    return f"{text}-{same_day:%m-%d}"


_LEAVES: Sequence[tuple[Callable[[pa.DataType], bool], Callable[[Any], Any]]] = (
    (pat.is_timestamp, _format_timestamp),
    (pat.is_date32, lambda scalar: _format_date(scalar.value)),
    (pat.is_date64, lambda scalar: _format_date(scalar.value // _DAY_MS)),
    (pat.is_time, _format_time),
    (pat.is_duration, _format_duration),
    (pat.is_interval, _format_interval),
)
