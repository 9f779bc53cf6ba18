import math
import random
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from shared.pricing.category_encoder import CategoryEncoder
from shared.pricing.model import load_model

FOCUS = {
    "make": "ford",
    "model": "focus",
    "transmission": "manual",
    "fuel_type": "petrol",
    "year": 2017,
    "odometer_km": 41_500.0,
    "engine_l": 1.0,
    "rated_consumption_l_100km": 4.65,
}
TYPES = {"year": pa.int32(), **dict.fromkeys(("odometer_km", "engine_l"), pa.float64())}


def columns(*vehicles):
    return {name: [vehicle[name] for vehicle in vehicles] for name in FOCUS}


def as_arrow(given):
    text = {"make", "model", "transmission", "fuel_type"}
    return {
        name: pa.array(column, pa.string() if name in text else TYPES.get(name, pa.float64()))
        for name, column in given.items()
    }


def both(pricer, *vehicles):
    """Price from lists, and check that Arrow columns and single vehicles give the same."""
    priced = pricer.price(columns(*vehicles))
    assert [pricer.price_one(SimpleNamespace(**vehicle)) for vehicle in vehicles] == priced.rows()
    again = pricer.price(as_arrow(columns(*vehicles)))
    for name in ("price", "lower", "upper", "flags"):
        assert np.array_equal(getattr(priced, name), getattr(again, name))
    return priced


def test_a_known_vehicle_is_priced_without_flags(pricer):
    """A vehicle like those in training has a price within its interval, and nothing is flagged."""
    priced = both(pricer, FOCUS)
    assert priced.lower[0] < priced.price[0] < priced.upper[0]
    assert priced.extrapolated() == [()]


def test_spelling_does_not_matter(pricer):
    """Case and outer spaces change neither price nor flags."""
    shouted = {
        name: f"  {value.upper()}\t" if isinstance(value, str) else value for name, value in FOCUS.items()
    }
    priced = both(pricer, FOCUS, shouted)
    assert priced.price[0] == priced.price[1]
    assert priced.extrapolated() == [(), ()]


@pytest.mark.parametrize("name", FOCUS)
def test_what_is_missing_is_not_extrapolated(pricer, name):
    """The model was trained on vehicles without some fields, so nothing is flagged for a missing value."""
    assert both(pricer, {**FOCUS, name: None}).extrapolated() == [()]
    assert both(pricer, {**dict.fromkeys(FOCUS), name: FOCUS[name]}).extrapolated() == [()]


def test_unknown_words_are_flagged(pricer):
    """A word never seen in training is flagged; an empty one is a missing word."""
    strange = {**FOCUS, "model": "Quattro Concept", "fuel_type": "plutonium", "transmission": "  "}
    assert both(pricer, strange).extrapolated() == [("model", "fuel_type")]


def test_a_model_of_another_make_is_unknown(pricer):
    """If make and model are known but were never seen together, the model is flagged."""
    assert both(pricer, {**FOCUS, "make": "audi"}).extrapolated() == [("model",)]


def test_numbers_outside_the_training_range_are_flagged(pricer):
    """A number outside the training range is flagged; at the end of the range it is not."""
    for one in pricer.manifest.inputs.num:
        ends = [{**FOCUS, one.name: end} for end in (one.minimum, one.maximum)]
        missing = {**FOCUS, one.name: math.nan}
        beyond = [{**FOCUS, one.name: end} for end in (one.minimum - 1, one.maximum + 1, math.inf, -math.inf)]
        flags = pricer.price(columns(*ends, missing, *beyond)).extrapolated()
        assert flags == [()] * 3 + [(one.name,)] * 4


def test_every_answer_is_finite(pricer):
    """Price and interval are finite and in order, whatever is missing or unknown."""
    draw = random.Random(7)
    vehicles = [
        {
            name: draw.choice([value, None, "?" if isinstance(value, str) else 0])
            for name, value in FOCUS.items()
        }
        for _ in range(500)
    ]
    priced = both(pricer, *vehicles)
    assert np.isfinite(priced.upper).all()
    assert (priced.lower > 0).all()
    assert (priced.lower <= priced.price).all()
    assert (priced.price <= priced.upper).all()


def test_prices_are_the_graphs_own(pricer, shipped):
    """Golden rows given as columns get the manifest's prices, to the hundredth of the currency."""
    golden = load_model(shipped).manifest.golden
    vehicles = [dict(zip(pricer.fields, (*row.cat, *row.num), strict=True)) for row in golden]
    priced = pricer.price(columns(*vehicles))
    assert np.allclose(priced.price, [row.price for row in golden], rtol=1e-4)
    assert np.allclose(priced.upper, [row.upper for row in golden], rtol=1e-4)


def test_the_number_of_spellings_kept_is_bounded():
    """Senders choose the words: millions of spellings do not grow the encoder's memory without end."""
    vocabulary = CategoryEncoder(["ford"])
    codes = vocabulary.codes([f"x{n}" for n in range(100_000)] + ["FORD"])
    assert set(codes[:-1].tolist()) == {1}
    assert codes[-1] == 0
    assert len(vocabulary._spellings) <= 65_536
