"""The shipped automobile model keeps the promises of its manifest and of the project."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from services.trainer.automobile.cross_validation import cross_validate
from services.trainer.automobile.ensemble import Recipe
from services.trainer.datasets.automobiles import read_automobiles
from services.trainer.session import Session
from shared.registry.champion import decode_champion
from shared.registry.model_manifest import decode_manifest

ROOT = Path(__file__).resolve().parents[3]
MODELS = ROOT / "models" / "automobile"
CARS = ROOT.parent / "shared" / "data" / "imports-85.csv"
needs_cars = pytest.mark.skipif(
    not CARS.exists(),
    reason="no automobile data (../shared/data/imports-85.csv) beside the checkout",
)


@pytest.fixture(scope="module")
def folder():
    return MODELS / decode_champion((MODELS / "champion.json").read_bytes()).version


@pytest.fixture(scope="module")
def manifest(folder):
    return decode_manifest((folder / "manifest.json").read_bytes())


def test_digests(folder, manifest):
    """Every file of the shipped version has the digest in its manifest."""
    assert {path.name for path in folder.iterdir()} == {*manifest.files, "manifest.json"}
    for name, digest in manifest.files.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_golden_rows(folder, manifest):
    """The shipped graph gives the golden prices, and the same price for the app's spelling and the set's."""
    rows = manifest.golden
    session = Session((folder / "model.onnx").read_bytes())
    cat = np.array([row.cat for row in rows], dtype=object)
    num = np.array([[np.nan if x is None else x for x in row.num] for row in rows], dtype=np.float32)
    assert session.run(cat, num).price == pytest.approx([row.price for row in rows], rel=1e-4)
    price = {row.title: row.price for row in rows}
    assert price["spelt as the app does"] == price["canonically"]
    assert price["a small car"] < price["a saloon"] < price["a sports car"] < price["a limousine"]


@needs_cars
def test_promised_accuracy(manifest):
    """The mean error over ten folds and five repeats is at most 1,400 USD, and equals the card's."""
    cars = read_automobiles(CARS)
    assert cars.digest == manifest.training.digest
    assert manifest.training.parameters.items() >= Recipe().parameters().items()
    validated = cross_validate(cars, Recipe(), seed=manifest.training.seed, threads=1)
    mae = np.abs(np.exp(validated.log_price) - cars.price).mean()
    assert mae <= 1_400
    assert mae == pytest.approx(manifest.metrics.mae, rel=1e-6)


@needs_cars
def test_no_row_of_the_set_is_shipped(manifest):
    """No golden row is a car of the set: they are made up."""
    known = {tuple(row) for row in read_automobiles(CARS).num.tolist()}
    assert not known & {tuple(float(np.float32(x or 0)) for x in row.num) for row in manifest.golden}
