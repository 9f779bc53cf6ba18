"""A version as it is written: its manifest, its files, and the proof that graph and ensembles agree."""

import hashlib
from dataclasses import dataclass

import msgspec
import numpy as np

from services.trainer.accuracy import relative_difference
from services.trainer.datasets.used_cars import Floats
from services.trainer.session import Priced
from shared.registry.layout import CARD_FILE, MANIFEST_FILE
from shared.registry.manifest import Inputs, Manifest, encode_manifest
from shared.service.errors import ModelUnusable

PARITY_RELATIVE_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Version:
    manifest: Manifest
    files: dict[str, bytes]

    @classmethod
    def of(cls, manifest: Manifest, files: dict[str, bytes], card: str) -> "Version":
        """The manifest then holds the digest of every other file."""
        files = {**files, CARD_FILE: card.encode()}
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        manifest = msgspec.structs.replace(manifest, files=digests)
        return cls(manifest, files | {MANIFEST_FILE: encode_manifest(manifest)})


def parity_or_refuse(of_graph: Priced, log_price: Floats, half_width: Floats) -> float:
    """The largest relative difference between graph and ensembles, over every row of the data."""
    own = Priced(np.exp(log_price), np.exp(log_price - half_width), np.exp(log_price + half_width))
    parity = relative_difference(of_graph, own)
    if not parity <= PARITY_RELATIVE_TOLERANCE:
        raise ModelUnusable(f"the graph differs from the trained ensembles by {parity:.1e} of a price")
    return parity


def metadata(
    name: str, version: str, *, currency: str, coverage: float, digest: str, inputs: Inputs
) -> dict[str, str]:
    """What the graph says of itself to whoever has it without its manifest."""
    return {
        "name": name,
        "version": version,
        "currency": currency,
        "coverage": str(coverage),
        "training_digest": digest,
        "inputs": msgspec.json.encode(inputs).decode(),
    }
