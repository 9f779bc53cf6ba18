"""A contract's bounds over Arrow columns, vectorised: which rows break which."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import inspect

from shared.contract.columns import Contract, declared_fields, plain_type
from shared.contract.field_types import EARLIEST, LATEST


class Bounds:
    """The ranges and lengths that a record type declares, applied to whole columns."""

    def __init__(self, contract: Contract) -> None:
        fields = declared_fields(contract.record)
        declared = {field.encode_name: plain_type(field.type)[0] for field in fields}
        bounds = {name: _declared_bound(name, one) for name, one in declared.items()}
        self._bounds = {name: bound for name, bound in bounds.items() if bound is not None}
        self._required = {field.encode_name for field in fields if field.required}

    def violations(self, batch: pa.RecordBatch) -> dict[int, str]:
        """Row number → the first bound it breaks; empty where every row keeps them all."""
        found: dict[int, str] = {}
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if name in self._required and column.null_count:
                _note(pc.is_null(column), f"{name} is missing", found)
            if (bound := self._bounds.get(name)) is not None and column.null_count < len(column):
                bound.check(column, found)
        return found


@dataclass(frozen=True, slots=True)
class _Bound:
    """Least and most of a number, of an instant in microseconds, or of a text's length."""

    what: str
    least: Any
    most: Any
    is_length: bool = False

    def check(self, column: Any, found: dict[int, str]) -> None:
        measured = pc.utf8_length(column) if self.is_length else column
        if pa.types.is_timestamp(measured.type):
            measured = measured.view(pa.int64())
        if not measured.null_count:
            numbers = measured.to_numpy()
            # NaN is neither: it makes both comparisons false.
            if numbers.min() >= self.least and numbers.max() <= self.most:
                return
        low, high = (pa.scalar(limit, measured.type) for limit in (self.least, self.most))
        inside = pc.and_(pc.greater_equal(measured, low), pc.less_equal(measured, high))
        _note(pc.invert(pc.fill_null(inside, True)), f"{self.what} is outside its range", found)


def _declared_bound(name: str, declared: inspect.Type) -> _Bound | None:
    match declared:
        case inspect.IntType(ge=least, le=most) | inspect.FloatType(ge=least, le=most):
            return _Bound(f"{name} (bounds {least} to {most})", least, most)
        case inspect.StrType(min_length=least, max_length=most):
            return _Bound(f"the length of {name} (bounds {least} to {most})", least, most, is_length=True)
        case inspect.DateTimeType():
            early, late = (int(moment.timestamp()) * 1_000_000 for moment in (EARLIEST, LATEST))
            return _Bound(f"{name} (bounds {EARLIEST.year} to {LATEST.year})", early, late)
    return None


def _note(broken: Any, reason: str, found: dict[int, str]) -> None:
    for row in pc.indices_nonzero(broken).to_pylist():
        found.setdefault(row, reason)
