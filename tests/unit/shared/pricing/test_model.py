import io
import json
from hashlib import sha256

import numpy as np
import pytest

from shared.pricing.model import load_model
from shared.registry.layout import GRAPH_FILE, MANIFEST_FILE, TREES_FILE
from shared.registry.store import read_from_lake, read_shipped
from shared.service.errors import ModelUnusable


class FolderOfFiles:
    """What the scorer asks of the lake, over a dict."""

    def __init__(self, **files):
        self.files = {f"models/price/{path}": body for path, body in files.items()}

    async def read(self, path):
        return self.files.get(path)


def with_manifest(folder, /, **changes):
    manifest = json.loads(folder[MANIFEST_FILE]) | changes
    return {**folder, MANIFEST_FILE: json.dumps(manifest).encode()}


def test_the_shipped_model_loads(shipped):
    """The model that is shipped keeps its own manifest's promises."""
    assert load_model(shipped).manifest.name == "price"


def test_a_truncated_graph_is_refused(shipped):
    """A file that is not the one that the manifest names is never run."""
    with pytest.raises(ModelUnusable, match="digest"):
        load_model({**shipped, GRAPH_FILE: shipped[GRAPH_FILE][:-100]})


def test_a_graph_that_cannot_be_loaded_is_refused(shipped):
    """A graph that onnxruntime cannot read is refused, its digest right or not."""
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # of no bytes
    broken = with_manifest({**shipped, GRAPH_FILE: b""}, files={GRAPH_FILE: digest})
    with pytest.raises(ModelUnusable, match="cannot be loaded"):
        load_model(broken)


def test_a_manifest_that_is_none_is_refused(shipped):
    """A manifest that cannot be read, or a missing file, is refused."""
    with pytest.raises(ModelUnusable, match=MANIFEST_FILE):
        load_model({**shipped, MANIFEST_FILE: b"{}"})
    with pytest.raises(ModelUnusable, match="lacks"):
        load_model({GRAPH_FILE: shipped[GRAPH_FILE]})


def test_a_manifest_without_digest_or_golden_rows_is_refused(shipped):
    """A version that proves nothing about itself is refused."""
    with pytest.raises(ModelUnusable, match="digest"):
        load_model(with_manifest(shipped, files={}))
    with pytest.raises(ModelUnusable, match="golden"):
        load_model(with_manifest(shipped, golden=[]))


def test_other_golden_prices_are_refused(shipped):
    """A graph that answers its golden rows otherwise than promised is refused."""
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
    """Where the manifest promises trees that explain, they are there and are those of the graph."""
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


def test_a_version_without_trees_prices_all_the_same(shipped):
    """A version whose manifest promises no trees is served, and has no explanations."""
    files = {GRAPH_FILE: json.loads(shipped[MANIFEST_FILE])["files"][GRAPH_FILE]}
    assert load_model(with_manifest(shipped, files=files)).explainer is None


async def test_the_lakes_champion_is_served(shipped):
    """The lake's pointer names the version; a version asked for by name beats it."""
    second = with_manifest(shipped, version="2")
    folders = {"1": shipped, "2": second, "4": second}
    files = {
        f"{version}/{name}": body for version, folder in folders.items() for name, body in folder.items()
    }
    lake = FolderOfFiles(**files, **{"champion.json": b'{"version":"2"}'})
    assert await read_from_lake(lake, None) == second
    assert await read_from_lake(lake, "1") == shipped
    with pytest.raises(ModelUnusable, match="models/price/3"):
        await read_from_lake(lake, "3")
    with pytest.raises(ModelUnusable, match="by its own manifest"):
        await read_from_lake(lake, "4")


async def test_an_empty_registry_leaves_the_choice_to_what_is_shipped():
    """A lake without a pointer is no error: the shipped model serves."""
    assert await read_from_lake(FolderOfFiles(), None) is None


@pytest.mark.parametrize("version", ["../secrets", "", "..", "a/b", ".hidden"])
async def test_a_pointer_stays_within_the_registry(version):
    """A version is a folder's name and cannot lead elsewhere."""
    pointer = json.dumps({"version": version}).encode()
    with pytest.raises(ModelUnusable, match="no version"):
        await read_from_lake(FolderOfFiles(**{"champion.json": pointer}), None)
    with pytest.raises(ModelUnusable, match="no version"):
        read_shipped(version)
