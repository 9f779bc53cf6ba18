"""A contract's bounds over Arrow columns, vectorised: which rows break which."""

import math
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import inspect

from shared.contract.columns import Contract, declared_fields, plain_type
from shared.contract.signals import EARLIEST, LATEST


class Bounds:
    """The ranges and lengths that a record type declares, applied to whole columns."""

    def __init__(self, contract: Contract) -> None:
        fields = declared_fields(contract.record)
        self._declared = {field.encode_name: plain_type(field.type)[0] for field in fields}
        self._required = {field.encode_name for field in fields if field.required}

    def violations(self, batch: pa.RecordBatch) -> dict[int, str]:
        """Row number → the first bound it breaks; empty where every row keeps them all."""
        found: dict[int, str] = {}
        for name, declared in self._declared.items():
            if name in batch.schema.names:
                self._check(name, declared, batch.column(name), found)
        return found

    def _check(self, name: str, declared: inspect.Type, column: Any, found: dict[int, str]) -> None:
        if name in self._required and column.null_count:
            _note(pc.is_null(column), f"{name} is missing", found)
        match declared:
            case inspect.IntType(ge=least, le=most):
                _check_range(name, column, least, most, found)
            case inspect.FloatType(ge=least, le=most):
                low = -math.inf if least is None else least
                _check_range(name, column, low, math.inf if most is None else most, found)
            case inspect.StrType(min_length=least, max_length=most):
                _check_range(f"the length of {name}", pc.utf8_length(column), least, most, found)
            case inspect.DateTimeType():
                _check_range(name, column, EARLIEST, LATEST, found)


def _check_range(name: str, column: Any, least: Any, most: Any, found: dict[int, str]) -> None:
    """NaN fails both comparisons, so it counts as outside."""
    low = pa.scalar(least if least is not None else 0, column.type)
    high = pa.scalar(most, column.type)
    inside = pc.and_(pc.greater_equal(column, low), pc.less_equal(column, high))
    if pc.all(inside).as_py() in (True, None):
        return
    _note(pc.invert(pc.fill_null(inside, True)), f"{name} is outside {least} to {most}", found)


def _note(broken: Any, reason: str, found: dict[int, str]) -> None:
    for row in pc.indices_nonzero(broken).to_pylist():
        found.setdefault(row, reason)
