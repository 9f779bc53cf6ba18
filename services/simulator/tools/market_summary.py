"""Make `market.csv`: a real market summarized as rounded counts and medians, without any single listing.

Run `python -m services.simulator.tools.market_summary LISTINGS.parquet >
shared/vehicles/market.csv`.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from shared.vehicles.market import COLUMNS, MarketRow

MODELS = 60
MIN_LISTINGS = 20  # a smaller group would come close to single listings
MIN_SHARE_OF_MODEL = 0.05
SNAPSHOT_YEAR = 2020.5
_KM_PER_MILE = 1.609344
_L_100KM_TIMES_MPG = 282.48  # imperial gallons

NOTE = """\
# The mix of a used-car market: rounded counts and medians by group, no listing is in here.
# Source: "100,000 UK Used Car Data set" (Kaggle, adityadesai13; asking prices, UK, around 2020), cleaned.
# Licence: believed CC0 on its Kaggle page, not verified; so only aggregates of at least 20 listings are kept.
# Rows with fuel "electric" are ours: the set has hardly any, and a fleet of today has some.
# Made by services/simulator/tools/market_summary.py; years are deciles 1, 5 and 9; - is not known.
"""

# The words are the data set's, the shares our own.
ELECTRIC = (
    MarketRow("bmw", "i3", "electric", "automatic", None, 700, 2015, 2017, 2019, None, 10_000),
    MarketRow("hyundai", "Kona", "electric", "automatic", None, 600, 2018, 2019, 2020, None, 11_000),
    MarketRow("hyundai", "Ioniq", "electric", "automatic", None, 500, 2017, 2018, 2020, None, 11_000),
    MarketRow("volkswagen", "Golf", "electric", "automatic", None, 600, 2015, 2018, 2020, None, 10_000),
)


class _Group(NamedTuple):
    make: str
    model: str
    fuel: str
    transmission: str
    engine_l: float


class _Listing(NamedTuple):
    group: _Group
    year: int
    rated_l_100km: float
    annual_km: float


def read_listings(path: Path) -> Iterator[_Listing]:
    """Yield the listings that have an engine size and a consumption and are not electric."""
    for row in pq.read_table(path).to_pylist():
        if row["engineSize"] is None or row["mpg"] is None or row["fuelType"] == "Electric":
            continue
        group = _Group(
            row["make"], row["model"], row["fuelType"].lower(), row["transmission"].lower(), row["engineSize"]
        )
        age_years = max(SNAPSHOT_YEAR - row["year"], 0.5)
        annual_km = row["mileage"] * _KM_PER_MILE / age_years
        yield _Listing(group, row["year"], _L_100KM_TIMES_MPG / row["mpg"], annual_km)


def summarize(listings: Iterable[_Listing]) -> list[MarketRow]:
    """Return the largest groups of listings of the most frequent models, largest group first."""
    groups: dict[_Group, list[_Listing]] = defaultdict(list)
    for listing in listings:
        groups[listing.group].append(listing)
    model_counts = Counter[tuple[str, str]]()
    for group, members in groups.items():
        model_counts[group.make, group.model] += len(members)
    common = dict(model_counts.most_common(MODELS))
    rows = [
        _summarize_group(group, members)
        for group, members in groups.items()
        if len(members) >= MIN_LISTINGS
        and len(members) >= MIN_SHARE_OF_MODEL * common.get(group[:2], sys.maxsize)
    ]
    return sorted(rows, key=lambda row: (-row.weight, row))


def _summarize_group(group: _Group, members: list[_Listing]) -> MarketRow:
    years = [round(year) for year in np.quantile([one.year for one in members], (0.1, 0.5, 0.9))]
    rated = round(float(np.median([one.rated_l_100km for one in members])), 1)
    annual_km = round(float(np.median([one.annual_km for one in members])) / 500) * 500
    weight = round(len(members) / 10) * 10
    return MarketRow(*group, weight, years[0], years[1], years[2], rated, annual_km)


def main() -> None:
    rows = [*summarize(read_listings(Path(sys.argv[1]))), *ELECTRIC]
    lines = [",".join("-" if value is None else str(value) for value in row) for row in rows]
    sys.stdout.write(NOTE + "\n".join([",".join(COLUMNS), *lines]) + "\n")


if __name__ == "__main__":
    main()
