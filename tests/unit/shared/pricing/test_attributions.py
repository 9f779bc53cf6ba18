"""Contributions in numpy equal LightGBM's own, and add up."""

import io
import math

import lightgbm as lgb
import numpy as np
import pytest

from services.trainer.trees import Trees, encode_trees
from shared.pricing.attributions import Attributions
from shared.pricing.explanation import Explainer, _in_currency
from shared.registry.layout import TREES_FILE
from shared.service.errors import ModelUnusable

FEATURES = 12


@pytest.fixture(scope="module")
def grown():
    """Deep trees over few features, so that paths split by the same one many times; some values missing."""
    rng = np.random.default_rng(3)
    features = rng.normal(size=(4_000, FEATURES)).astype(np.float32)
    features[rng.random(features.shape) < 0.1] = np.nan
    known = np.nan_to_num(features)
    target = known[:, 0] * known[:, 1] + np.sin(3 * known[:, 2]) + rng.normal(0, 0.1, 4_000)
    parameters = {"num_leaves": 127, "min_data_in_leaf": 3, "num_threads": 1, "verbose": -1}
    parameters |= {"bagging_fraction": 0.7, "bagging_freq": 1, "feature_fraction_bynode": 0.6}
    booster = lgb.train(parameters, lgb.Dataset(features, target, params=parameters), 30)
    return booster, features


def arrays_of(trees, count):
    body = encode_trees(trees, tuple(f"f{k}" for k in range(count)), ())
    with np.load(io.BytesIO(body), allow_pickle=False) as file:
        return dict(file)


def test_contributions_are_lightgbms_own(grown):
    """Each feature's contribution is LightGBM's exact one within a millionth, missing values included."""
    booster, features = grown
    attributions = Attributions(arrays_of(Trees.from_lightgbm(booster.dump_model(), 0.0), FEATURES))
    rows = features[:200]
    own = booster.predict(rows, pred_contrib=True)
    ours = np.array([attributions.contributions(row) for row in rows])
    assert np.abs(ours - own[:, :-1]).max() < 1e-6
    assert attributions.expected == pytest.approx(own[0, -1], abs=1e-6)


def test_contributions_and_expectation_make_the_output(grown):
    """Contributions and the expected output add up to the ensemble's output, for infinities too."""
    booster, features = grown
    trees = Trees.from_lightgbm(booster.dump_model(), 9.5)
    attributions = Attributions(arrays_of(trees, FEATURES))
    rows = features[:50].copy()
    rows[:10, 0], rows[10:20, 1], rows[20:30] = np.inf, -np.inf, np.nan
    ours = [attributions.expected + attributions.contributions(row).sum() for row in rows]
    assert ours == pytest.approx(trees.predict(rows), abs=1e-10)


def test_a_feature_without_splits_contributes_nothing():
    """A feature that no tree splits by contributes 0; in a tree of one leaf that is every feature."""
    attributions = Attributions(arrays_of(Trees.constant(2.5), 3))
    assert attributions.expected == 2.5
    assert attributions.contributions(np.zeros(3, dtype=np.float32)).tolist() == [0, 0, 0]


def test_hundredths_add_up():
    """The rounded amounts add up to the difference in hundredths."""
    rng = np.random.default_rng(5)
    for size in (1e-9, 1e-3, 0.2, 2.0):
        shares = (rng.normal(size=8) * size).tolist()
        price = round(12_345.67 * math.exp(math.fsum(shares)), 2)
        hundredths = round(price * 100) - 1_234_567
        amounts = _in_currency(shares, 12_345.674, hundredths)
        assert sum(round(amount * 100) for amount in amounts) == hundredths
        factor = 12_345.67 * (math.expm1(math.fsum(shares)) / math.fsum(shares))
        assert amounts == pytest.approx([share * factor for share in shares], abs=0.03)
    assert _in_currency([0.0, 0.0], 100.0, 1) == [0.01, 0.0]


def test_golden_vehicles_are_explained_as_the_graph_prices_them(pricer, shipped):
    """The shipped trees and the shipped graph give every golden row the same price."""
    explainer = Explainer(shipped[TREES_FILE])
    for row in pricer.manifest.golden:
        vehicle = dict(zip(pricer.fields, (*row.cat, *row.num), strict=True))
        explanation = explainer.explain(vehicle, round(row.price, 2), ())
        assert math.exp(explanation.log_price) == pytest.approx(row.price, rel=1e-4)
        hundredths = sum(round(one.currency * 100) for one in explanation.contributions)
        assert round(explanation.base_price * 100) + hundredths == round(row.price * 100)


@pytest.mark.parametrize("body", [b"", b"no archive", b"PK\x03\x04cut"])
def test_trees_that_cannot_be_read_are_refused(body):
    """A file that is no ensemble is refused."""
    with pytest.raises(ModelUnusable, match=r"trees\.npz"):
        Explainer(body)
    without = io.BytesIO()
    np.savez(without, starts=np.array([0, 1]))
    with pytest.raises(ModelUnusable, match=r"trees\.npz"):
        Explainer(without.getvalue())
