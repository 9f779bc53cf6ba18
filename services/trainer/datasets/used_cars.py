"""The training data: asking prices of used cars, converted to the units and words of a reading."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from services.trainer.datasets.priced_rows import Floats, PricedRows, read_rows
from shared.registry.model_manifest import canonical

KM_PER_MILE = 1.609344
L_PER_100KM_TIMES_IMPERIAL_MPG = 282.48

CATEGORICAL = ("make", "model", "transmission", "fuel_type")
NUMERIC = ("year", "odometer_km", "engine_l", "rated_consumption_l_100km")
UNITS = ("", "km", "l", "l/100km")
INPUTS = CATEGORICAL + NUMERIC

_CATEGORY_COLUMNS = ("make", "model", "transmission", "fuelType")
_NUMBER_COLUMNS = ("year", "mileage", "engineSize", "mpg")
_COLUMNS = (*_CATEGORY_COLUMNS, *_NUMBER_COLUMNS, "price")
_MIN_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Listings(PricedRows):
    """The used-car listings: 4 words and 4 numbers per row, with prices in GBP.

    `share` is a hash of each row in [0, 1). `spellings` has, for each column of words, the words as they are
    written in the data.
    """

    share: Floats
    spellings: tuple[frozenset[str], ...]


def read_listings(path: Path) -> Listings:
    """Read the listings. Raises NeedsAttention if the file is missing or is not this data set."""
    return read_rows(path, _parse_parquet)


def _parse_parquet(body: bytes, digest: str) -> Listings:
    try:
        table = pq.read_table(pa.BufferReader(body))
    except (pa.ArrowInvalid, OSError) as exc:
        raise ValueError(f"this is no readable Parquet file: {exc}") from exc
    if missing := [name for name in _COLUMNS if name not in table.column_names]:
        raise ValueError(f"the table lacks the columns {', '.join(missing)}")
    return parse_table(table, digest)


def parse_table(table: pa.Table, digest: str) -> Listings:
    """Parse a table of listings.

    Raises ValueError or a pyarrow error if a column has the wrong type or impossible values, or if there are
    too few rows.
    """
    words = [_read_words(table, name) for name in _CATEGORY_COLUMNS]
    year, miles, engine_l, mpg = (_read_numbers(table, name) for name in _NUMBER_COLUMNS)
    price = _read_numbers(table, "price")
    if len(price) < _MIN_ROWS:
        raise ValueError(f"{len(price)} rows are too few to train on ({_MIN_ROWS} at least)")
    if not (price > 0).all():
        raise ValueError("every row needs a price above 0")
    if (mpg <= 0).any():
        raise ValueError("mpg must be above 0 or missing")
    consumption = L_PER_100KM_TIMES_IMPERIAL_MPG / mpg
    # Cast before training, because the graph gets float32: so no row changes leaf later.
    num = np.column_stack([year, miles * KM_PER_MILE, engine_l, consumption]).astype(np.float32)
    cat = np.column_stack([np.array([canonical(word) for word in column], dtype=object) for column in words])
    return Listings(
        cat=cat,
        num=num,
        price=price,
        share=_hash_rows(cat, np.column_stack([year, miles, engine_l, mpg, price])),
        spellings=tuple(frozenset(word for word in column if word) for column in words),
        digest=digest,
    )


def _read_words(table: pa.Table, name: str) -> list[str]:
    return [(word or "").strip() for word in table[name].cast(pa.string()).to_pylist()]


def _read_numbers(table: pa.Table, name: str) -> Floats:
    values: Floats = np.array(table[name].cast(pa.float64()).to_numpy(), dtype=np.float64)
    if np.isinf(values).any():
        raise ValueError(f"{name} must be finite or missing")
    return values


def _hash_rows(cat: NDArray[np.object_], numbers: Floats) -> Floats:
    """Hash each row into [0, 1). The hash does not depend on the row's position or on the seed."""
    hashes = [
        int.from_bytes(hashlib.blake2b(repr((*words, *values)).encode(), digest_size=6).digest())
        for words, values in zip(cat.tolist(), numbers.tolist(), strict=True)
    ]
    return np.array(hashes, dtype=np.float64) / 2**48
