"""A version is loaded only if it keeps its manifest's promises."""

import io
import json
from hashlib import sha256

import numpy as np
import pytest

from shared.pricing.model import load_model
from shared.registry.layout import GRAPH_FILE, MANIFEST_FILE, TREES_FILE
from shared.registry.store import read_shipped
from shared.service.errors import ModelUnusable


def with_manifest(folder, /, **changes):
    manifest = json.loads(folder[MANIFEST_FILE]) | changes
    return {**folder, MANIFEST_FILE: json.dumps(manifest).encode()}


def test_the_shipped_model_loads(shipped):
    """The shipped model keeps its manifest's promises."""
    assert load_model(shipped).manifest.name == "price"


def test_a_truncated_graph_is_refused(shipped):
    """A graph whose digest is not the manifest's is never run."""
    with pytest.raises(ModelUnusable, match="digest"):
        load_model({**shipped, GRAPH_FILE: shipped[GRAPH_FILE][:-100]})


def test_a_graph_that_cannot_be_loaded_is_refused(shipped):
    """A graph that onnxruntime cannot read is refused, even if its digest is right."""
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # of no bytes
    broken = with_manifest({**shipped, GRAPH_FILE: b""}, files={GRAPH_FILE: digest})
    with pytest.raises(ModelUnusable, match="cannot be loaded"):
        load_model(broken)


def test_an_unreadable_manifest_is_refused(shipped):
    """A manifest that cannot be read, or a missing file, is refused."""
    with pytest.raises(ModelUnusable, match=MANIFEST_FILE):
        load_model({**shipped, MANIFEST_FILE: b"{}"})
    with pytest.raises(ModelUnusable, match="lacks"):
        load_model({GRAPH_FILE: shipped[GRAPH_FILE]})


def test_a_manifest_without_digest_or_golden_rows_is_refused(shipped):
    """A version that cannot be verified is refused."""
    with pytest.raises(ModelUnusable, match="digest"):
        load_model(with_manifest(shipped, files={}))
    with pytest.raises(ModelUnusable, match="golden"):
        load_model(with_manifest(shipped, golden=[]))


def test_other_golden_prices_are_refused(shipped):
    """A graph that prices a golden row otherwise than its manifest is refused."""
    golden = json.loads(shipped[MANIFEST_FILE])["golden"]
    golden[0]["price"] *= 1.001
    with pytest.raises(ModelUnusable, match="golden row"):
        load_model(with_manifest(shipped, golden=golden))


def test_another_signature_is_refused(shipped):
    """A graph that takes other columns than the manifest lists is refused."""
    inputs = json.loads(shipped[MANIFEST_FILE])["inputs"]
    inputs["num"].pop()
    with pytest.raises(ModelUnusable, match="the manifest says"):
        load_model(with_manifest(shipped, inputs=inputs))


def test_trees_that_are_missing_or_another_models_are_refused(shipped):
    """If the manifest lists trees, they must be there and be those of the graph."""
    with pytest.raises(ModelUnusable, match=r"lacks trees\.npz"):
        load_model({name: body for name, body in shipped.items() if name != TREES_FILE})
    for version, message in (("automobile", "other inputs"), ("price", "golden row")):
        trees = read_shipped(None, version)[TREES_FILE]
        if version == "price":
            with np.load(io.BytesIO(trees)) as file:
                arrays = dict(file)
            body = io.BytesIO()
            np.savez(body, **{**arrays, "base": arrays["base"] + 0.01})
            trees = body.getvalue()
        files = json.loads(shipped[MANIFEST_FILE])["files"] | {TREES_FILE: sha256(trees).hexdigest()}
        with pytest.raises(ModelUnusable, match=message):
            load_model(with_manifest({**shipped, TREES_FILE: trees}, files=files))


def test_a_version_without_trees_is_served(shipped):
    """A version whose manifest lists no trees is served without explanations."""
    files = {GRAPH_FILE: json.loads(shipped[MANIFEST_FILE])["files"][GRAPH_FILE]}
    assert load_model(with_manifest(shipped, files=files)).explainer is None
