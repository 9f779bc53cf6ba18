"""The trees of a model version, read back from its file."""

import io

import numpy as np

from services.trainer.trees import Trees


def decode_trees(body: bytes) -> Trees:
    """Return the trees in the content of `trees.npz`."""
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        columns = {name: arrays[name] for name in Trees.__slots__}
    return Trees(**(columns | {"base": float(columns["base"])}))
