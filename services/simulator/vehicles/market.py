"""The mix of makes, models, engines and years that a fleet is drawn from: `market.csv` beside this file."""

import csv
from collections.abc import Iterable
from importlib.resources import files
from typing import NamedTuple


class MarketRow(NamedTuple):
    """One group of vehicles of a market; `weight` is its share in vehicles, None is not known."""

    make: str
    model: str
    fuel_type: str
    transmission: str
    engine_l: float | None
    weight: int
    year_low: int
    year_middle: int
    year_high: int
    rated_consumption_l_100km: float | None
    annual_km: int


COLUMNS = MarketRow._fields


def read_market(lines: Iterable[str]) -> tuple[MarketRow, ...]:
    """Rows of a table with the columns of MarketRow; lines that start with # are notes."""
    table = csv.DictReader(line for line in lines if not line.startswith("#"))
    return tuple(_row(fields) for fields in table)


def _row(fields: dict[str, str]) -> MarketRow:
    return MarketRow(
        make=fields["make"],
        model=fields["model"],
        fuel_type=fields["fuel_type"],
        transmission=fields["transmission"],
        engine_l=_known(fields["engine_l"]),
        weight=int(fields["weight"]),
        year_low=int(fields["year_low"]),
        year_middle=int(fields["year_middle"]),
        year_high=int(fields["year_high"]),
        rated_consumption_l_100km=_known(fields["rated_consumption_l_100km"]),
        annual_km=int(fields["annual_km"]),
    )


def _known(text: str) -> float | None:
    return None if text == "-" else float(text)


def shipped_market() -> tuple[MarketRow, ...]:
    """The table that comes with the simulator."""
    return read_market(files(__package__).joinpath("market.csv").read_text("utf-8").splitlines())
