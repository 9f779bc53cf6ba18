"""The market that a fleet is drawn from (`market.csv`): its makes, models, engines and years."""

import csv
from collections.abc import Iterable
from importlib.resources import files
from typing import NamedTuple


class MarketRow(NamedTuple):
    """A group of similar vehicles of a market. None in a field means that the value is not known.

    `weight` is the number of vehicles in the group; it sets the group's share of a fleet.
    """

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
    """Parse a table with the columns of MarketRow; lines that start with # are comments."""
    table = csv.DictReader(line for line in lines if not line.startswith("#"))
    return tuple(_parse_row(fields) for fields in table)


def _parse_row(fields: dict[str, str]) -> MarketRow:
    return MarketRow(
        make=fields["make"],
        model=fields["model"],
        fuel_type=fields["fuel_type"],
        transmission=fields["transmission"],
        engine_l=_parse_optional(fields["engine_l"]),
        weight=int(fields["weight"]),
        year_low=int(fields["year_low"]),
        year_middle=int(fields["year_middle"]),
        year_high=int(fields["year_high"]),
        rated_consumption_l_100km=_parse_optional(fields["rated_consumption_l_100km"]),
        annual_km=int(fields["annual_km"]),
    )


def _parse_optional(text: str) -> float | None:
    return None if text == "-" else float(text)


def read_shipped_market() -> tuple[MarketRow, ...]:
    """Read the market table that is part of the simulator's package."""
    return read_market(files(__package__).joinpath("market.csv").read_text("utf-8").splitlines())
