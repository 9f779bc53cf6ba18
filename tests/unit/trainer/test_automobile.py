from datetime import UTC, datetime

import numpy as np
import pytest

from services.trainer.automobile.cross_validation import FOLDS, cross_validate
from services.trainer.automobile.ensemble import Ensemble, Recipe
from services.trainer.automobile.training import build
from services.trainer.datasets.automobiles import parse_csv
from services.trainer.session import Session
from services.trainer.settings import TrainerSettings
from services.trainer.training import train
from shared.contract.automobile import INPUTS, NUMBERS, WORDS
from shared.registry.model_manifest import decode_manifest
from shared.service.errors import NeedsAttention
from tests.support.automobiles_csv import automobiles_csv
from tests.support.model_trees import decode_trees

RECIPE = Recipe(trees=15)
AT = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def cars():
    return parse_csv(automobiles_csv(), "0" * 64)


@pytest.fixture(scope="module")
def version(cars):
    return build(cars, "1", created_at=AT, seed=7, threads=1, recipe=RECIPE)


@pytest.fixture(scope="module")
def session(version):
    return Session(version.files["model.onnx"])


def test_rows_without_a_price_are_left_out(cars):
    """A car without a price is left out; missing words and numbers are missing, not a category."""
    assert len(cars) == 158
    doors, losses = WORDS.index("num-of-doors"), NUMBERS.index("normalized-losses")
    assert set(cars.cat[:18, doors]) == {""}
    assert np.isnan(cars.num[:18, losses]).all()
    assert np.isfinite(cars.num[18:]).all()


def test_same_seed_same_automobile_model(cars, version):
    """The same rows and seed give the same files, byte for byte; another seed gives another model."""
    again = build(cars, "1", created_at=AT, seed=7, threads=1, recipe=RECIPE)
    assert again.files == version.files
    other = Ensemble.train(cars, np.ones(len(cars), dtype=bool), RECIPE, seed=8, threads=1)
    assert not np.array_equal(other.trees().value, decode_trees(version.files["trees.npz"]).value)


def test_graph_and_trees_agree_with_inputs_missing(cars, version, session):
    """Graph and plain arrays price every row alike, with inputs withheld at random."""
    rng = np.random.default_rng(5)
    withheld = rng.random((len(cars), len(INPUTS))) < 0.3
    cat = np.where(withheld[:, : len(WORDS)], "", cars.cat)
    num = np.where(withheld[:, len(WORDS) :], np.float32(np.nan), cars.num)
    all_rows = np.ones(len(cars), dtype=bool)
    codes = Ensemble.train(cars, all_rows, RECIPE, seed=7, threads=1).codes
    expected = np.exp(decode_trees(version.files["trees.npz"]).predict(codes.features(cat, num)))
    prices = session.run(cat, num)
    assert prices.price == pytest.approx(expected, rel=1e-4)
    assert (prices.lower < prices.price).all()
    assert (prices.price < prices.upper).all()


@pytest.mark.parametrize(
    ("column", "word", "spellings"),
    [
        ("make", "alfa-romero", ["Alfa Romero", "alfa romeo", "ALFA-ROMERO"]),
        ("make", "peugot", ["Peugot", "Peugeot"]),
        ("make", "mercedes-benz", ["Mercedes-Benz", "mercedes benz"]),
        ("num-of-cylinders", "six", ["6", "Six"]),
        ("num-of-doors", "two", ["2"]),
    ],
)
def test_the_graph_knows_the_apps_spelling(cars, session, column, word, spellings):
    """Makes in the app's spelling and case, and cylinders and doors as digits, give the same price."""
    k = WORDS.index(column)
    known, unknown = cars.cat.copy(), cars.cat.copy()
    known[:, k], unknown[:, k] = word, "never heard of"
    expected = session.run(known, cars.num).price
    assert (expected != session.run(unknown, cars.num).price).any()
    for spelling in spellings:
        spelt = cars.cat.copy()
        spelt[:, k] = spelling
        assert (session.run(spelt, cars.num).price == expected).all()


def test_each_row_is_validated_by_an_ensemble_not_trained_on_it(cars):
    """Cross-validation predicts each row once a repeat, by an ensemble not trained on it."""
    validated = cross_validate(cars, Recipe(trees=5), seed=7, threads=1)
    for repeat, fold in enumerate(validated.fold):
        sizes = np.bincount(fold.astype(int))
        assert len(sizes) == FOLDS
        assert sizes.max() - sizes.min() <= 1
        held_out = fold == 3
        ensemble = Ensemble.train(cars, ~held_out, Recipe(trees=5), seed=7 + repeat, threads=1)
        again = ensemble.log_price(ensemble.codes.features(cars.cat[held_out], cars.num[held_out]))
        assert again == pytest.approx(validated.log_price[repeat, held_out])


def test_the_card_has_the_cross_validated_error(version):
    """Card and manifest have the same figures, and the card says that they are cross-validated."""
    metrics = version.manifest.metrics
    card = version.files["card.md"].decode()
    assert f"{metrics.mae:,.0f}" in card
    assert "10-fold cross-validation" in card
    assert metrics.coverage == pytest.approx(0.9, abs=0.05)
    blind = {one.name: one.mae for one in metrics.without_input}
    assert blind["curb-weight"] > 1.2 * metrics.mae
    assert blind["stroke"] == pytest.approx(metrics.mae, rel=0.2)


def test_the_manifest_describes_the_version(version):
    """Name and currency are the automobile model's, and the manifest has the digest of every file."""
    manifest = version.manifest
    assert (manifest.name, manifest.version, manifest.currency) == ("automobile", "1", "USD")
    assert set(version.files) == {*manifest.files, "manifest.json"}
    assert decode_manifest(version.files["manifest.json"]) == manifest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("curb-weight", "weight"), "curb-weight are missing"),
        (lambda text: "\n".join(text.splitlines()[:50]), "too few"),
        (lambda text: text.replace(".", ".x"), "convert"),
        (lambda text: text + text.splitlines()[-1].rpartition(",")[0] + ",-5", "above 0"),
        (lambda _: "", "are missing"),
    ],
)
def test_another_file_is_refused(tmp_path, change, message):
    """A file other than the automobile set is refused in one line that names the fault."""
    data = tmp_path / "cars.csv"
    data.write_text(change(automobiles_csv()))
    settings = TrainerSettings(model="automobile", data=data, out=tmp_path / "2", _env_file=None)
    with pytest.raises(NeedsAttention, match=message):
        train(settings)
