"""Vehicles that the model cannot tell apart are priced once, and cached prices equal computed ones."""

import math
import random

import numpy as np
import pyarrow as pa
import pytest

from shared.pricing.graph_thresholds import find_thresholds
from shared.pricing.model import load_model
from shared.pricing.pricer import Pricer
from shared.registry.layout import GRAPH_FILE

NUMBERS = ("year", "odometer_km", "engine_l", "rated_consumption_l_100km")
WORDS = ("ford", " FORD ", "Bmw", "bmw", "straße", "İstanbul", "\u0000", "", "  ", None, "nothing of ours")
MODELS = ("focus", "Focus", "3 series", "corsa", "", None, "x" * 200)


@pytest.fixture
def fresh(shipped):
    return Pricer(load_model(shipped))


def odd_number(steps, rng):
    """Return a threshold, a number next to it, one between thresholds, or a special value."""
    step = np.float32(rng.choice(steps))
    with np.errstate(over="ignore"):
        beside = [float(np.nextafter(step, np.float32(side))) for side in (-np.inf, np.inf)]
    return rng.choice(
        [
            float(step),
            *beside,
            rng.uniform(float(steps[0]), float(steps[-1])),
            *(None, math.nan, math.inf, -math.inf, 0.0, -0.0, 1e30),
        ]
    )


def odd_vehicles(model, count, seed):
    rng = random.Random(seed)
    columns = {
        "make": pa.array(rng.choices(WORDS, k=count), pa.string()),
        "model": pa.array(rng.choices(MODELS, k=count), pa.string()),
        "transmission": pa.array(rng.choices(("manual", "MANUAL", None, "?"), k=count), pa.string()),
        "fuel_type": pa.array(rng.choices(("petrol", "Diesel ", None, "?"), k=count), pa.string()),
    }
    for name, steps in zip(NUMBERS, model.thresholds, strict=True):
        columns[name] = pa.array([odd_number(steps, rng) for _ in range(count)], pa.float64())
    return columns


def assert_same(ours, theirs):
    for name in ("price", "lower", "upper", "flags"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name


@pytest.mark.parametrize("rows", [1, 2, 33, 1_500])
def test_a_cached_price_is_the_models_own_to_the_last_bit(shipped, monkeypatch, rows):
    """Cached prices are exact at and beside every threshold, for odd values, in batches of any size."""
    model = load_model(shipped)
    cached, uncached = Pricer(model), Pricer(model)
    monkeypatch.setattr(uncached, "_grid", None)
    for seed in range(4):
        columns = odd_vehicles(model, rows, seed)
        expected = uncached.price(columns)
        assert_same(cached.price(columns), expected)
        assert_same(cached.price(columns), expected)


def test_a_driving_fleet_is_not_priced_again(fresh, monkeypatch):
    """Readings a few metres apart cost no run of the model; crossing a threshold does."""
    runs = []
    run = fresh._run
    monkeypatch.setattr(fresh, "_run", lambda cat, num: runs.append(len(num)) or run(cat, num))

    def priced_at(odometer_km):
        rows = 100
        focus = {"make": "ford", "model": "focus", "transmission": "manual", "fuel_type": "petrol"}
        numbers = {"year": 2017, "engine_l": 1.0, "rated_consumption_l_100km": 4.65}
        columns = {name: pa.array([value] * rows) for name, value in (focus | numbers).items()}
        fresh.price({**columns, "odometer_km": pa.array([odometer_km + row * 0.001 for row in range(rows)])})

    priced_at(41_500.0)
    priced_at(41_500.2)
    assert runs == [1]
    priced_at(90_000.0)
    assert runs == [1, 1]


def test_the_cache_is_bounded(fresh, monkeypatch):
    """However many different vehicles come, the cache keeps a limited number; prices stay right."""
    monkeypatch.setattr("shared.pricing.price_cache._MAX_PRICES", 200)
    model = fresh._model
    again = Pricer(model)
    monkeypatch.setattr(again, "_grid", None)
    for seed, rows in enumerate((150, 150, 150, 1_000, 150)):
        columns = odd_vehicles(model, rows, seed)
        assert_same(fresh.price(columns), again.price(columns))
        assert len(fresh._cache._places) <= 200


def test_a_graph_of_another_form_has_no_thresholds(shipped):
    """Trees that compare other than by `<=` may tell more vehicles apart, so nothing is cached."""
    graph = shipped[GRAPH_FILE]
    assert find_thresholds(graph, 4) is not None
    assert find_thresholds(graph.replace(b"BRANCH_LEQ", b"BRANCH_GTE"), 4) is None
    assert find_thresholds(graph.replace(b"Concat", b"Concet"), 4) is None
    assert find_thresholds(b"no graph", 4) is None
    assert find_thresholds(b"", 4) is None
