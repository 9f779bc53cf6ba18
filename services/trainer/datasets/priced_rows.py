"""Rows of training data with a price, and reading them from a file."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from shared.service.errors import NeedsAttention

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PricedRows:
    """A data set: canonical words `cat` [N, W] ("" = missing) and numbers `num` [N, M] (NaN = missing).

    `price` is the price of each row. `digest` is the SHA-256 of the data set's file.
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


Rows = TypeVar("Rows", bound=PricedRows)


def read_rows(path: Path, parse: Callable[[bytes, str], Rows]) -> Rows:
    """Call `parse` with the content of the file and the SHA-256 of that content, and return the rows.

    Raises NeedsAttention if there is no such file or `parse` raises ValueError.
    """
    if not path.is_file():
        raise NeedsAttention(f"training data: no file {path}; name one with --data")
    body = path.read_bytes()
    try:
        return parse(body, hashlib.sha256(body).hexdigest())
    except ValueError as exc:
        raise NeedsAttention(f"training data: {path}: {exc}") from exc
