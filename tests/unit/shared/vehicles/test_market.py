from services.simulator.tools.market_summary import ELECTRIC, MIN_LISTINGS, _Group, _Listing, summarize
from shared.vehicles.market import MarketRow, read_market, read_shipped_market

FOCUS = _Group("ford", "Focus", "petrol", "manual", 1.0)
RARE = _Group("ford", "Focus", "diesel", "automatic", 2.0)


def listings(group, count):
    return [_Listing(group, 2015 + n % 5, 4.0 + n / 100, 9_000.0 + n) for n in range(count)]


def test_shipped_market_fits_the_contract():
    """The shipped market has the contract's words and plausible numbers, electric vehicles included."""
    market = read_shipped_market()
    assert len(market) > 100
    assert {row.transmission for row in market} <= {"manual", "automatic", "semi-auto", "other"}
    assert {row.fuel_type for row in market} == {"petrol", "diesel", "hybrid", "electric"}
    for row in market:
        assert row.year_low <= row.year_middle <= row.year_high
        assert row.weight >= MIN_LISTINGS
        assert (row.engine_l is None) == (row.rated_consumption_l_100km is None) == (row in ELECTRIC)


def test_summary_holds_no_listing():
    """Small groups, which would show a single listing, are left out; the others are rounded."""
    rows = summarize([*listings(FOCUS, 104), *listings(RARE, MIN_LISTINGS - 1)])
    assert rows == [MarketRow(*FOCUS, 100, 2015, 2017, 2019, 4.5, 9_000)]


def test_comments_are_skipped():
    """A comment in the table is skipped, and - is a value that is not known."""
    lines = ["# a note", ",".join(MarketRow._fields), "bmw,i3,electric,automatic,-,7,2015,2017,2019,-,10000"]
    assert read_market(lines) == (
        MarketRow("bmw", "i3", "electric", "automatic", None, 7, 2015, 2017, 2019, None, 10_000),
    )
