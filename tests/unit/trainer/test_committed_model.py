"""The shipped price model keeps the promises of its manifest and, on the market data, of the project."""

import hashlib
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from services.trainer.accuracy import measure_coverage, measure_fifths
from services.trainer.datasets.used_cars import CATEGORICAL, NUMERIC, read_listings
from services.trainer.session import Session
from services.trainer.split import split_rows
from shared.registry.champion import decode_champion
from shared.registry.model_manifest import GOLDEN_RELATIVE_TOLERANCE, decode_manifest
from tests.support.model_trees import decode_trees

ROOT = Path(__file__).resolve().parents[3]
MODELS = ROOT / "models" / "price"
MARKET = ROOT.parent / "shared" / "data" / "uk_used_cars.parquet"
needs_market = pytest.mark.skipif(
    not MARKET.exists(),
    reason="no market data (../shared/data/uk_used_cars.parquet) beside the checkout",
)


@pytest.fixture(scope="module")
def folder():
    return MODELS / decode_champion((MODELS / "champion.json").read_bytes()).version


@pytest.fixture(scope="module")
def manifest(folder):
    return decode_manifest((folder / "manifest.json").read_bytes())


@pytest.fixture(scope="module")
def session(folder):
    return Session((folder / "model.onnx").read_bytes())


@pytest.fixture(scope="module")
def market():
    return read_listings(MARKET)


def test_digests(folder, manifest):
    """Every file of the shipped version has the digest in its manifest."""
    assert {path.name for path in folder.iterdir()} == {*manifest.files, "manifest.json"}
    for name, digest in manifest.files.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_signature(folder, manifest):
    """The shipped graph has the inputs and outputs of its manifest, strings included."""
    session = ort.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    inputs = [(each.name, each.type, each.shape[1]) for each in session.get_inputs()]
    assert inputs == [
        ("cat", "tensor(string)", len(manifest.inputs.cat)),
        ("num", "tensor(float)", len(manifest.inputs.num)),
    ]
    assert [(each.name, each.type, each.shape) for each in session.get_outputs()] == [
        (name, "tensor(float)", ["N"]) for name in ("price", "lower", "upper")
    ]
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["currency"] == manifest.currency == "GBP"
    assert metadata["training_digest"] == manifest.training.digest


def test_golden_rows(session, manifest):
    """The shipped graph gives the golden prices, each within its interval."""
    cat = np.array([row.cat for row in manifest.golden], dtype=object)
    num = np.array(
        [[np.nan if x is None else x for x in row.num] for row in manifest.golden], dtype=np.float32
    )
    prices = session.run(cat, num)
    for name in ("price", "lower", "upper"):
        promised = [getattr(row, name) for row in manifest.golden]
        assert getattr(prices, name) == pytest.approx(promised, rel=GOLDEN_RELATIVE_TOLERANCE)
    assert (prices.lower > 0).all()
    assert (prices.lower < prices.price).all()
    assert (prices.price < prices.upper).all()


def test_no_input_takes_a_price_out_of_bounds(folder):
    """For no input is the price of the shipped ensemble below £1 or above £100 million."""
    lowest, highest = decode_trees((folder / "trees.npz").read_bytes()).bounds()
    assert 1 < np.exp(lowest) < np.exp(highest) < 1e8


@needs_market
def test_promised_accuracy(session, manifest, market):
    """On held-out rows R² is at least .96, mean error at most £1,150, coverage 88 to 92 % in each fifth."""
    assert market.digest == manifest.training.digest
    held_out = split_rows(market.share).held_out
    true = market.price[held_out]
    prices = session.run(market.cat[held_out], market.num[held_out])
    error = prices.price - true
    assert 1 - (error**2).sum() / ((true - true.mean()) ** 2).sum() >= 0.96
    assert np.abs(error).mean() <= 1_150
    assert 0.89 <= measure_coverage(prices, true) <= 0.91
    for by in (true, prices.price):
        for band in measure_fifths(by, prices, true):
            assert 0.88 <= band.coverage <= 0.92
    assert np.abs(error).mean() == pytest.approx(manifest.metrics.mae, rel=1e-4)


@needs_market
def test_graph_equals_its_trees(folder, session, market):
    """The shipped graph and its trees.npz agree on every row within a hundredth of a percent."""
    body = (folder / "trees.npz").read_bytes()
    with np.load(folder / "trees.npz", allow_pickle=False) as arrays:
        mappings = [
            dict(zip(arrays[f"words_{k}"].tolist(), arrays[f"codes_{k}"].tolist(), strict=True))
            for k in range(5)
        ]
        inputs = arrays["feature_inputs"].tolist()
    codes = [
        np.array([mapping.get(word, np.nan) for word in market.cat[:, CATEGORICAL.index(inputs[k])]])
        for k, mapping in enumerate(mappings)
    ]
    features = np.column_stack([*codes, market.num]).astype(np.float32)
    expected = np.exp(decode_trees(body).predict(features))
    assert session.run(market.cat, market.num).price == pytest.approx(expected, rel=1e-4)


@needs_market
def test_distance_lowers_and_a_newer_year_raises_the_price(session, market):
    """The price never rises with the odometer, and nearly always rises with the year."""
    rows = np.flatnonzero(split_rows(market.share).held_out)[:2_000]
    cat, num = market.cat[rows], market.num[rows]
    odometer, year = NUMERIC.index("odometer_km"), NUMERIC.index("year")
    for more_km in (1, 500, 10_000, 100_000):
        run = num.copy()
        run[:, odometer] += more_km
        assert (session.run(cat, run).price <= session.run(cat, num).price * (1 + 1e-6)).all()
    middle = (num[:, year] >= 2013) & (num[:, year] <= 2018)
    older, newer = num[middle].copy(), num[middle].copy()
    older[:, year] -= 1
    newer[:, year] += 1
    gain = session.run(cat[middle], newer).price / session.run(cat[middle], older).price
    assert np.median(gain) > 1.1
    assert (gain > 1).mean() > 0.95
