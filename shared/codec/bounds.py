"""Checks of whole Arrow columns against a contract's bounds."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import inspect

from shared.contract.columns import Contract, declared_fields, plain_type
from shared.contract.field_types import EARLIEST, LATEST


class Bounds:
    """The required fields, ranges and text lengths that a contract's record type declares."""

    def __init__(self, contract: Contract) -> None:
        fields = declared_fields(contract.record)
        declared = {field.encode_name: plain_type(field.type)[0] for field in fields}
        bounds = {name: _declared_bound(name, one) for name, one in declared.items()}
        self._bounds = {name: bound for name, bound in bounds.items() if bound is not None}
        self._required = {field.encode_name for field in fields if field.required}

    def find_violations(self, batch: pa.RecordBatch) -> dict[int, str]:
        """Return the rows that break the contract, each with the reason for its first violation."""
        found: dict[int, str] = {}
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if name in self._required and column.null_count:
                _add_violations(pc.is_null(column), f"{name} is missing", found)
            if (bound := self._bounds.get(name)) is not None and column.null_count < len(column):
                bound.check(column, found)
        return found


@dataclass(frozen=True, slots=True)
class _Bound:
    """The minimum and maximum of a number, of a timestamp (microseconds) or of a text's length."""

    subject: str
    minimum: Any
    maximum: Any
    is_length: bool = False

    def check(self, column: Any, found: dict[int, str]) -> None:
        measured = pc.utf8_length(column) if self.is_length else column
        if pa.types.is_timestamp(measured.type):
            measured = measured.view(pa.int64())
        if not measured.null_count:
            numbers = measured.to_numpy()
            # NaN makes both comparisons false.
            if numbers.min() >= self.minimum and numbers.max() <= self.maximum:
                return
        low, high = (pa.scalar(limit, measured.type) for limit in (self.minimum, self.maximum))
        inside = pc.and_(pc.greater_equal(measured, low), pc.less_equal(measured, high))
        _add_violations(pc.invert(pc.fill_null(inside, True)), f"{self.subject} is outside its range", found)


def _declared_bound(name: str, declared: inspect.Type) -> _Bound | None:
    match declared:
        case inspect.IntType(ge=low, le=high) | inspect.FloatType(ge=low, le=high):
            return _Bound(f"{name} (bounds {low} to {high})", low, high)
        case inspect.StrType(min_length=low, max_length=high):
            return _Bound(f"the length of {name} (bounds {low} to {high})", low, high, is_length=True)
        case inspect.DateTimeType():
            earliest_us, latest_us = (int(limit.timestamp()) * 1_000_000 for limit in (EARLIEST, LATEST))
            return _Bound(f"{name} (bounds {EARLIEST.year} to {LATEST.year})", earliest_us, latest_us)
    return None


def _add_violations(broken: Any, reason: str, found: dict[int, str]) -> None:
    for row in pc.indices_nonzero(broken).to_pylist():
        found.setdefault(row, reason)
