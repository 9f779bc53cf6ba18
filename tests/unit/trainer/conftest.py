"""A made-up market, small and seeded: prices follow from age, use and model; dearer models are noisier."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from services.trainer.datasets.used_cars import parse_table
from services.trainer.ensemble import Recipe, train_ensembles
from services.trainer.split import split_rows
from services.trainer.training import build

MARKET = {"Alba": ("Uno", "Due Plus"), "borea": ("North 1", "South"), "Cirrus": ("Cloud", "Rain", "Mist")}
RECIPE = Recipe(price_trees=40, price_leaves=31, spread_trees=10, spread_leaves=7, spread_min_rows_a_leaf=50)
SEED = 7


def market(rows=6_000, seed=11):
    """Make a table like the training data: miles, imperial mpg, words with outer spaces and capitals."""
    rng = np.random.default_rng(seed)
    pairs = [(make, model) for make, models in MARKET.items() for model in models]
    which = rng.integers(0, len(pairs), rows)
    year = rng.integers(2004, 2021, rows)
    miles = np.round(rng.gamma(2.0, 4_000 * (2021 - year) / 4 + 500)).astype(np.int32)
    engine = rng.choice([1.0, 1.4, 2.0, 3.0], rows)
    mpg = np.round(70 - 12 * engine + rng.normal(0, 4, rows), 1)
    log_price = 9.6 + 0.15 * which - 0.11 * (2020 - year) - miles / 250_000 + 0.2 * engine
    price = np.round(np.exp(log_price + rng.normal(0, 0.06 + 0.02 * which)))
    return pa.table(
        {
            "make": [pairs[k][0] for k in which],
            "model": [f" {pairs[k][1]}" for k in which],
            "year": pa.array(year, pa.int32()),
            "price": pa.array(price, pa.int32()),
            "transmission": rng.choice(["Manual", "Automatic"], rows),
            "mileage": miles,
            "fuelType": rng.choice(["Petrol", "Diesel"], rows),
            "mpg": pa.array(np.where(rng.random(rows) < 0.02, np.nan, mpg), from_pandas=True),
            "engineSize": engine,
        }
    )


@pytest.fixture(scope="session")
def listings():
    return parse_table(market(), "0" * 64)


@pytest.fixture(scope="session")
def ensembles(listings):
    return train_ensembles(listings, split_rows(listings.share).train, RECIPE, seed=SEED, threads=1)


def build_version(listings, **changes):
    options = {"created_at": datetime(2026, 1, 2, tzinfo=UTC), "seed": SEED, "threads": 1, "recipe": RECIPE}
    return build(listings, "1", **(options | changes))


@pytest.fixture(scope="session")
def build_market_version(listings):
    return lambda **changes: build_version(listings, **changes)


@pytest.fixture(scope="session")
def version(listings):
    return build_version(listings)


@pytest.fixture(scope="session")
def market_table():
    return market
