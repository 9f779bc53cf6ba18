"""The 1985 automobile set: 205 cars, under the field names that the published apps send."""

import csv
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.trainer.datasets.used_cars import Floats
from shared.contract.automobile import INPUTS, NUMBERS, WORDS
from shared.registry.model_manifest import canonical
from shared.service.errors import NeedsAttention

_PRICE = "price"
_MIN_ROWS = 100
_MISSING = ("", "?")


@dataclass(frozen=True, slots=True)
class Automobiles:
    """The cars: `cat` canonical strings [N, 10] ("" = missing), `num` float32 [N, 15] (NaN = missing).

    `price` is in USD.
    """

    cat: NDArray[np.object_]
    num: NDArray[np.float32]
    price: Floats
    digest: str

    def __len__(self) -> int:
        return len(self.price)

    @property
    def log_price(self) -> Floats:
        return np.log(self.price)


def read_automobiles(path: Path) -> Automobiles:
    """Read the set. Raises NeedsAttention if the file is missing or is another one."""
    if not path.is_file():
        raise NeedsAttention(f"training data: no file {path}; name one with --data")
    body = path.read_bytes()
    try:
        return parse_csv(body.decode(), hashlib.sha256(body).hexdigest())
    except (ValueError, csv.Error) as exc:
        raise NeedsAttention(f"training data: {path}: {exc}") from exc


def parse_csv(text: str, digest: str) -> Automobiles:
    """Parse the rows with a price. Raises ValueError if the text is another table."""
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
