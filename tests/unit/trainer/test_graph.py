import numpy as np
import pytest

from services.trainer.datasets.used_cars import CATEGORICAL, NUMERIC
from services.trainer.features import withhold_at_random
from services.trainer.session import Session
from tests.support.model_trees import decode_trees


@pytest.fixture(scope="module")
def session(version):
    return Session(version.files["model.onnx"])


def test_parity_on_every_row(version, ensembles, session, listings):
    """The graph prices every row as the trained ensembles do, within a hundredth of a percent."""
    assert version.manifest.metrics.parity_max_relative_error <= 1e-4
    expected = np.exp(ensembles.log_price(ensembles.codes.features(listings.cat, listings.num)))
    assert session.run(listings.cat, listings.num).price == pytest.approx(expected, rel=1e-4)


def test_parity_with_inputs_missing(version, session, listings, ensembles):
    """Graph and trees.npz price rows with missing inputs alike."""
    withheld = withhold_at_random(len(listings), 0.4, np.random.default_rng(1))
    cat = np.where(withheld[:, : len(CATEGORICAL)], "", listings.cat)
    num = np.where(withheld[:, len(CATEGORICAL) :], np.float32(np.nan), listings.num)
    trees = decode_trees(version.files["trees.npz"])
    expected = np.exp(trees.predict(ensembles.codes.features(cat, num)))
    assert session.run(cat, num).price == pytest.approx(expected, rel=1e-4)


def test_any_input_has_a_price(session):
    """Unknown words, and missing, infinite and absurd numbers, give a finite price within its interval."""
    words = ["", "alba", "uno", "Manual", "petrol", "Ω" * 500, "nan", " ", "\x00"]
    numbers = [np.nan, np.inf, -np.inf, 0.0, -0.0, -1.0, 1e-45, 3.4e38, -3.4e38, 2017.0]
    rng = np.random.default_rng(4)
    cat = rng.choice(np.array(words, dtype=object), (5_000, len(CATEGORICAL)))
    num = rng.choice(np.array(numbers, dtype=np.float32), (5_000, len(NUMERIC)))
    prices = session.run(cat, num)
    assert np.isfinite(np.stack(prices)).all()
    assert (prices.lower > 0).all()
    assert (prices.lower < prices.price).all()
    assert (prices.price < prices.upper).all()


@pytest.mark.parametrize("write", [str.title, str.upper, str.capitalize])
def test_spellings(session, write):
    """The data's own capitals, and other usual ones, give the price of the canonical words."""
    words = ["alba", "due plus", "manual", "petrol"]
    num = np.array([[2015, 60_000, 1.4, 5.2]], dtype=np.float32)
    canonical = session.run(np.array([words], dtype=object), num)
    assert session.run(np.array([[write(word) for word in words]], dtype=object), num) == canonical


def test_a_price_does_not_depend_on_its_batch(session, listings):
    """A vehicle has the same price alone as among a thousand others."""
    together = session.run(listings.cat[:1000], listings.num[:1000])
    for k in (0, 517, 999):
        alone = session.run(listings.cat[k : k + 1], listings.num[k : k + 1])
        assert [float(a[0]) for a in alone] == [float(t[k]) for t in together]


def test_an_unknown_model_widens_the_interval(session, listings):
    """The interval of a row is wider with an unknown model than with its own."""
    cat = listings.cat.copy()
    cat[:, CATEGORICAL.index("model")] = "never heard of"
    known, unknown = session.run(listings.cat, listings.num), session.run(cat, listings.num)
    assert np.median(unknown.upper / unknown.lower) > 1.2 * np.median(known.upper / known.lower)


def test_the_price_never_rises_with_the_odometer(session, listings):
    """At any values of the other inputs, a higher odometer never gives a higher price."""
    cat, num = listings.cat[:300], listings.num[:300].copy()
    last = np.full(300, np.inf)
    for odometer_km in (0, 10, 1_000, 20_000, 60_000, 61_000, 150_000, 400_000, np.inf):
        num[:, NUMERIC.index("odometer_km")] = odometer_km
        price = session.run(cat, num).price
        assert (price <= last * (1 + 1e-6)).all()
        last = price
