"""A model version: its manifest, its files, and the check that the graph and the ensembles agree."""

import hashlib
from dataclasses import dataclass

import msgspec
import numpy as np

from services.trainer.accuracy import relative_difference
from services.trainer.datasets.priced_rows import Floats
from services.trainer.session import Prices
from shared.registry.layout import CARD_FILE, MANIFEST_FILE
from shared.registry.model_manifest import Inputs, Manifest, encode_manifest
from shared.service.errors import ModelUnusable

PARITY_RELATIVE_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Version:
    manifest: Manifest
    files: dict[str, bytes]

    @classmethod
    def from_manifest(cls, manifest: Manifest, files: dict[str, bytes], card: str) -> "Version":
        """Make a version from a manifest and files.

        Adds the card and the manifest to the files; the manifest then holds the digest of every other file.
        """
        files = {**files, CARD_FILE: card.encode()}
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        manifest = msgspec.structs.replace(manifest, files=digests)
        return cls(manifest, files | {MANIFEST_FILE: encode_manifest(manifest)})


def check_parity(graph_prices: Prices, log_price: Floats, half_width: Floats) -> float:
    """Return the largest relative difference between the graph and the ensembles, over all rows.

    Raises ModelUnusable if the difference exceeds the tolerance.
    """
    expected = Prices(np.exp(log_price), np.exp(log_price - half_width), np.exp(log_price + half_width))
    parity = relative_difference(graph_prices, expected)
    if not parity <= PARITY_RELATIVE_TOLERANCE:
        raise ModelUnusable(f"the graph differs from the trained ensembles by {parity:.1e} of a price")
    return parity


def graph_metadata(
    name: str, version: str, *, currency: str, coverage: float, digest: str, inputs: Inputs
) -> dict[str, str]:
    """Return the metadata to store inside the graph, for users who have the graph without its manifest."""
    return {
        "name": name,
        "version": version,
        "currency": currency,
        "coverage": str(coverage),
        "training_digest": digest,
        "inputs": msgspec.json.encode(inputs).decode(),
    }
