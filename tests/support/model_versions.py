"""Versions of the price model for tests: the shipped one with its prices times a factor of each version."""

import io
import json
from hashlib import sha256

import numpy as np
import onnx
from onnx import numpy_helper

from shared.registry.champion import encode_champion
from shared.registry.layout import GRAPH_FILE, MANIFEST_FILE, PRICE, TREES_FILE, champion_path, version_path
from shared.registry.store import read_shipped

SHIPPED = read_shipped(None)
AMOUNTS = ("price", "lower", "upper")


def factor_of(version):
    """Return the factor of a version: version 3 prices at 1.3 times version 1."""
    return 1.0 if version == "1" else 1 + int(version) / 10


def made(version):
    """Return the files of a version."""
    factor = factor_of(version)
    graph, trees = _graph(factor), _trees(factor)
    manifest = json.loads(SHIPPED[MANIFEST_FILE]) | {"version": version}
    for row in manifest["golden"]:
        row |= {name: row[name] * factor for name in AMOUNTS}
    manifest["files"] = {GRAPH_FILE: digest(graph), TREES_FILE: digest(trees)}
    return {MANIFEST_FILE: json.dumps(manifest).encode(), GRAPH_FILE: graph, TREES_FILE: trees}


def with_manifest(files, /, **changes):
    manifest = json.loads(files[MANIFEST_FILE]) | changes
    return files | {MANIFEST_FILE: json.dumps(manifest).encode()}


def digest(body):
    return sha256(body).hexdigest()


async def store(lake, version, files):
    for name, body in files.items():
        await lake.write(f"{version_path(PRICE, version)}/{name}", body)


async def point(lake, version):
    """Set the champion's pointer."""
    body = version if isinstance(version, bytes) else encode_champion(version)
    await lake.write(champion_path(PRICE), body)


def _graph(factor):
    graph = onnx.load_from_string(SHIPPED[GRAPH_FILE])
    (base,) = (one for one in graph.graph.initializer if one.name == "log_price_base")
    moved = numpy_helper.to_array(base) + np.float32(np.log(factor))
    base.CopyFrom(numpy_helper.from_array(moved, "log_price_base"))
    return graph.SerializeToString(deterministic=True)


def _trees(factor):
    with np.load(io.BytesIO(SHIPPED[TREES_FILE])) as file:
        arrays = dict(file)
    body = io.BytesIO()
    np.savez(body, **{**arrays, "base": arrays["base"] + np.log(factor)})
    return body.getvalue()
