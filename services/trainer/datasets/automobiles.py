"""The 1985 automobile set: 205 cars, under the field names that the published apps send."""

import csv
import io
from pathlib import Path

import numpy as np

from services.trainer.datasets.priced_rows import PricedRows, read_rows
from shared.contract.automobile import INPUTS, NUMBERS, WORDS
from shared.registry.model_manifest import canonical

_PRICE = "price"
_MIN_ROWS = 100
_MISSING = ("", "?")


class Automobiles(PricedRows):
    """The 1985 cars: 10 words and 15 numbers per row, with prices in USD."""

    __slots__ = ()


def read_automobiles(path: Path) -> Automobiles:
    """Read the automobile set. Raises NeedsAttention if the file is missing or is not this data set."""
    return read_rows(path, _parse_file)


def _parse_file(body: bytes, digest: str) -> Automobiles:
    try:
        return parse_csv(body.decode(), digest)
    except csv.Error as exc:
        raise ValueError(f"this is no readable CSV file: {exc}") from exc


def parse_csv(text: str, digest: str) -> Automobiles:
    """Parse the rows that have a price.

    Raises ValueError if the text lacks columns, has too few rows or contains impossible values.
    """
    reader = csv.DictReader(io.StringIO(text))
    if missing := [name for name in (*INPUTS, _PRICE) if name not in (reader.fieldnames or ())]:
        raise ValueError(f"the columns {', '.join(missing)} are missing")
    rows = [row for row in reader if row[_PRICE] not in _MISSING]
    if len(rows) < _MIN_ROWS:
        raise ValueError(f"{len(rows)} rows are too few to train on ({_MIN_ROWS} at least)")
    price = np.array([float(row[_PRICE]) for row in rows])
    if not ((price > 0) & np.isfinite(price)).all():
        raise ValueError("a price must be above 0, or missing")
    return Automobiles(
        cat=np.array([[_parse_word(row[name]) for name in WORDS] for row in rows], dtype=object),
        num=np.array([[_parse_number(row[name]) for name in NUMBERS] for row in rows], dtype=np.float32),
        price=price,
        digest=digest,
    )


def _parse_word(text: str | None) -> str:
    return "" if text is None or text in _MISSING else canonical(text)


def _parse_number(text: str | None) -> float:
    number = float("nan") if text is None or text in _MISSING else float(text)
    if np.isinf(number):
        raise ValueError("a number must be finite, or missing")
    return number
