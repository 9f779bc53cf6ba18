import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.trainer.datasets.used_cars import INPUTS
from services.trainer.features import FEATURE_INPUTS, mask_inputs, withhold, withhold_at_random
from services.trainer.trees import Trees, encode_trees, float32_at_most
from tests.support.model_trees import decode_trees


@pytest.fixture(scope="module")
def trees(ensembles):
    return ensembles.price_trees()


@pytest.fixture(scope="module")
def odd_features(listings, ensembles):
    """Return the market's rows as they are, then with inputs missing, then with infinities."""
    features = ensembles.codes.features(listings.cat, listings.num)
    rng = np.random.default_rng(5)
    masked = mask_inputs(features, withhold_at_random(len(features), 0.4, rng))
    infinite = features.copy()
    infinite[:, -2], infinite[:, -1] = np.inf, -np.inf
    return np.concatenate([features, masked, infinite])


def test_arrays_reproduce_lightgbm(ensembles, trees, odd_features):
    """The plain arrays predict what LightGBM predicts, with missing and infinite inputs too."""
    assert trees.predict(odd_features) == pytest.approx(ensembles.log_price(odd_features), abs=1e-12)
    spread = ensembles.spread_trees(0.0)
    assert spread.predict(odd_features) == pytest.approx(ensembles.log_spread(odd_features), abs=1e-12)


def test_leaves_are_lightgbms_own(ensembles, trees, odd_features):
    """No row changes leaf when LightGBM's thresholds become float32."""
    own = ensembles.price.predict(odd_features, pred_leaf=True)
    for tree, leaf in enumerate(trees.leaves(odd_features)):
        pairs = set(zip(own[:, tree].tolist(), leaf.tolist(), strict=True))
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def test_bounds_hold(trees, odd_features):
    """No input gives a price outside the ensemble's bounds."""
    lowest, highest = trees.bounds()
    predicted = trees.predict(odd_features)
    assert lowest <= predicted.min() <= predicted.max() <= highest


def test_counts_add_up(trees):
    """Each inner node counts as many training rows as its two children together."""
    inner = ~trees.is_leaf
    below = trees.count[trees.left[inner]] + trees.count[trees.right[inner]]
    assert (trees.count[inner] == below).all()


def test_file_round_trip(ensembles, trees, odd_features):
    """Trees read back from trees.npz predict the same, and the same trees give the same bytes."""
    body = encode_trees(trees, FEATURE_INPUTS, ensembles.codes.mappings)
    assert body == encode_trees(trees, FEATURE_INPUTS, ensembles.codes.mappings)
    assert (decode_trees(body).predict(odd_features) == trees.predict(odd_features)).all()


@given(st.floats(width=64, allow_nan=False), st.floats(width=32, allow_nan=False))
def test_thresholds_on_float32(threshold, value):
    """Every float32 compares with the float32 threshold as with LightGBM's own."""
    assert (value <= float32_at_most(threshold)) == (value <= threshold) or threshold < -3.4e38


def test_unfamiliar_split_is_refused():
    """A kind of split that the graph cannot express is refused."""
    split = {"split_feature": 0, "decision_type": "==", "missing_type": "None", "threshold": "1||2"}
    with pytest.raises(ValueError, match="not numeric"):
        Trees.from_lightgbm({"tree_info": [{"tree_structure": split}]}, 0.0)


def test_without_its_make_a_vehicle_has_no_model():
    """Withholding the make withholds the model too."""
    withheld = withhold(3, "make")
    assert withheld[:, INPUTS.index("model")].all()
    assert not withhold(3, "year")[:, INPUTS.index("model")].any()
