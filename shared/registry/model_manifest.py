"""The manifest of a model version: the trainer writes it, and every load of the model checks it.

The graph takes `cat` string[N, len(inputs.cat)] and `num` float32[N, len(inputs.num)], with the columns in
the order listed in the manifest. It returns `price`, `lower` and `upper`, each float32[N], in `currency`. A
missing category is "", a missing number NaN. Missing values, and values that training never saw, get finite
prices; only the latter are flagged.
"""

from datetime import datetime

import msgspec

from shared.registry.layout import MANIFEST_FILE
from shared.service.errors import ModelUnusable

Parameter = str | int | float | bool


def canonical(word: str) -> str:
    """Return the canonical spelling of a category, used in comparisons: outer spaces removed, case folded."""
    return word.strip().casefold()


class CategoricalInput(msgspec.Struct, frozen=True):
    """A column of `cat`; `categories` are those seen in training, canonical."""

    name: str
    categories: tuple[str, ...]


class NumericInput(msgspec.Struct, frozen=True):
    """A column of `num`; the range, ends included, is the one seen in training."""

    name: str
    unit: str
    minimum: float
    maximum: float


class Inputs(msgspec.Struct, frozen=True):
    cat: tuple[CategoricalInput, ...]
    num: tuple[NumericInput, ...]


class Training(msgspec.Struct, frozen=True):
    """The training of a model; `digest` is the SHA-256 of the data file."""

    source: str
    licence: str
    digest: str
    rows: int
    calibration_rows: int
    held_out_rows: int
    seed: int
    parameters: dict[str, Parameter]


class Band(msgspec.Struct, frozen=True):
    """One fifth of the held-out rows, by price from `minimum` to `maximum`."""

    minimum: float
    maximum: float
    rows: int
    coverage: float
    mae: float
    median_width: float


class Blind(msgspec.Struct, frozen=True):
    """Accuracy on the held-out rows with the input `name` withheld."""

    name: str
    coverage: float
    mae: float
    median_width: float


class Metrics(msgspec.Struct, frozen=True):
    """Accuracy of the graph on rows used neither to train nor to calibrate; parity on every row.

    A set too small to hold rows out (`held_out_rows` 0) is measured by cross-validation.
    """

    r2: float
    mae: float
    mape: float
    coverage: float
    fifths_of_price: tuple[Band, ...]
    fifths_of_predicted_price: tuple[Band, ...]
    without_input: tuple[Blind, ...]
    parity_max_relative_error: float


class GoldenRow(msgspec.Struct, frozen=True):
    """A made-up vehicle and the graph's prices of it, within `GOLDEN_RELATIVE_TOLERANCE`."""

    title: str
    cat: tuple[str, ...]
    num: tuple[float | None, ...]
    price: float
    lower: float
    upper: float


GOLDEN_RELATIVE_TOLERANCE = 1e-4


class Manifest(msgspec.Struct, frozen=True):
    """The manifest; `models_of_make` holds every (make, model) seen in training, `files` SHA-256 digests."""

    name: str
    version: str
    created_at: datetime
    currency: str
    coverage: float
    inputs: Inputs
    models_of_make: dict[str, tuple[str, ...]]
    training: Training
    metrics: Metrics
    golden: tuple[GoldenRow, ...]
    files: dict[str, str]


def encode_manifest(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def decode_manifest(body: bytes) -> Manifest:
    """Decode a manifest. Raises ModelUnusable if `body` is not a valid manifest."""
    try:
        return msgspec.json.decode(body, type=Manifest)
    except msgspec.MsgspecError as exc:
        raise ModelUnusable(f"{MANIFEST_FILE}: {exc}") from exc
