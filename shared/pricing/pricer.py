"""The scoring code shared by stream, REST and backfill: it prices columns of vehicles.

The result has prices, intervals and flags. This module makes canonical words and float32 numbers; the model's
graph does everything else.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct
from numpy.typing import NDArray
from prometheus_client import Counter, Histogram

from shared.contract.reading import Reading
from shared.pricing.category_encoder import CategoryEncoder, Codes
from shared.pricing.model import Outputs, PriceModel, load_model
from shared.pricing.price_cache import PriceCache, RowPrices, ThresholdGrid
from shared.pricing.small_batch import MAX_ROWS, SmallBatch
from shared.registry.active_model import ActiveModel
from shared.service.errors import ModelUnusable

MODEL_RUN_SECONDS = Histogram(
    "fleetprice_pricing_model_run_seconds",
    "One run of the price model",
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
)
ROWS_PRICED = Counter("fleetprice_pricing_rows_total", "Vehicles priced, over stream and HTTP")

# Cells of the price cache are numbered by int64.
_MAX_CELLS = 2**63

Column: TypeAlias = pa.Array | Sequence[Any]
Columns: TypeAlias = Mapping[str, Column]
Floats = NDArray[np.float64]
# Price, lower, upper, and the fields whose values training never saw.
PricedOne: TypeAlias = tuple[float, float, float, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Priced:
    """The prices of vehicles, rounded to the hundredth of the currency.

    Element i of each array belongs to vehicle i. Bit k of a vehicle's `flags` is set if field k of `fields`
    has a value that training never saw; a missing value is none.
    """

    price: Floats
    lower: Floats
    upper: Floats
    flags: NDArray[np.intp]
    fields: tuple[str, ...]

    def extrapolated(self) -> list[tuple[str, ...]]:
        """Return the names of the flagged fields of each vehicle."""
        rows = self.flags.tolist()
        names = {flags: self.names_of(flags) for flags in set(rows)}
        return [names[flags] for flags in rows]

    def names_of(self, flags: int) -> tuple[str, ...]:
        """Return the names of the fields whose bits are set in `flags`, the flags of one vehicle."""
        return _names_of(self.fields, flags)

    def rows(self) -> list[PricedOne]:
        """Return price, lower, upper and the flagged fields of each vehicle, one tuple per vehicle."""
        amounts = (self.price.tolist(), self.lower.tolist(), self.upper.tolist())
        return list(zip(*amounts, self.extrapolated(), strict=True))


class Pricer:
    """A pricer of vehicles with one version of the price model."""

    def __init__(self, model: PriceModel) -> None:
        """Make the pricer.

        Raises ModelUnusable if the model has inputs that readings do not have, or does not take make and
        model.
        """
        self.manifest = model.manifest
        self.explainer = model.explainer
        self._model = model
        inputs = model.manifest.inputs
        self._words = {one.name: CategoryEncoder(one.categories) for one in inputs.cat}
        self._numbers = tuple(one.name for one in inputs.num)
        self._minimum = np.array([one.minimum for one in inputs.num], dtype=np.float32)
        self._maximum = np.array([one.maximum for one in inputs.num], dtype=np.float32)
        self.fields = (*self._words, *self._numbers)
        self._bits = np.left_shift(1, np.arange(len(self.fields)))
        if not {"make", "model"} <= self._words.keys():
            raise ModelUnusable("the model does not take make and model")
        if unknown := set(self.fields) - set(Reading.__struct_fields__):
            raise ModelUnusable(f"the model takes what no reading has: {', '.join(sorted(unknown))}")
        self._pairs = self._seen_pairs(model.manifest.models_of_make)
        bounds = tuple(zip(self._minimum.tolist(), self._maximum.tolist(), strict=True))
        self._names_of = lru_cache(maxsize=1024)(partial(_names_of, self.fields))
        self._small_batch = SmallBatch(self._words, self._numbers, bounds, self._pairs)
        self._grid = self._make_grid(model)
        self._cache = PriceCache()

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "Pricer":
        """Load a version, given its files by name.

        Raises ModelUnusable if the files break a promise of the manifest, or if the model does not fit
        readings.
        """
        return cls(load_model(files))

    def _make_grid(self, model: PriceModel) -> ThresholdGrid | None:
        if model.thresholds is None:
            return None
        words = {name: len(one.words) for name, one in self._words.items()}
        grid = ThresholdGrid(words, model.thresholds, (self._minimum, self._maximum))
        return grid if grid.count < _MAX_CELLS else None

    def columns_of(self, records: Sequence[Struct]) -> Columns:
        """Return the columns that the model takes from `records`, which have the fields of the contract."""
        return {field: [getattr(record, field) for record in records] for field in self.fields}

    def price(self, columns: Columns) -> Priced:
        """Price the rows of `columns`, which are given by input name and all have the same length.

        None and null are missing values.
        """
        makes = columns["make"]
        if not isinstance(makes, pa.Array) and len(makes) <= MAX_ROWS:
            cat, num, flags = self._small_batch.inputs(columns)
            prices = RowPrices(self._run(cat, num), flags)
        else:
            prices = self._price_columns(columns)
        ROWS_PRICED.inc(len(makes))
        price, lower, upper = prices.money
        return Priced(price, lower, upper, prices.flags, self.fields)

    def price_one(self, record: Struct) -> PricedOne:
        """Price one record, which has the fields of the contract.

        This avoids the fixed costs of making columns.
        """
        cat, num, flags = self._small_batch.one(record)
        price, lower, upper = self._outputs(cat, num)
        ROWS_PRICED.inc()
        return _round_cents(price), _round_cents(lower), _round_cents(upper), self._names_of(flags)

    def _run(self, cat: NDArray[np.object_], num: NDArray[np.float32]) -> Floats:
        money: Floats = np.array(self._outputs(cat, num), dtype=np.float64).round(2)
        return money

    def _outputs(
        self, cat: NDArray[np.object_], num: NDArray[np.float32]
    ) -> tuple[Outputs, Outputs, Outputs]:
        started_s = time.perf_counter()
        outputs = self._model.run(cat, num)
        MODEL_RUN_SECONDS.observe(time.perf_counter() - started_s)
        return outputs

    def _price_columns(self, columns: Columns) -> RowPrices:
        """Price many rows. The model runs only for rows whose price is not in the cache."""
        codes = {name: words.codes(columns[name]) for name, words in self._words.items()}
        num = np.column_stack([_to_float32(columns[name]) for name in self._numbers])

        def compute(rows: NDArray[np.intp]) -> RowPrices:
            chosen = {name: one[rows] for name, one in codes.items()}
            numbers = num[rows]
            cat = np.empty((len(rows), len(codes)), dtype=np.object_)
            for k, (name, words) in enumerate(self._words.items()):
                cat[:, k] = words.words[chosen[name]]
            return RowPrices(self._run(cat, numbers), self._flags(chosen, numbers))

        if self._grid is None:
            return compute(np.arange(len(num)))
        return self._cache.get_or_price(self._grid.cells(codes, num), compute)

    def _flags(self, codes: Mapping[str, Codes], num: NDArray[np.float32]) -> NDArray[np.intp]:
        is_unseen = np.empty((len(num), len(self.fields)), dtype=np.bool_)
        for k, (name, words) in enumerate(self._words.items()):
            is_unseen[:, k] = codes[name] == words.unknown
        is_unseen[:, self.fields.index("model")] |= ~self._pairs[codes["make"], codes["model"]]
        # Comparisons with NaN are false, so that a missing number is not unseen.
        is_unseen[:, len(codes) :] = (num < self._minimum) | (num > self._maximum)
        return is_unseen.astype(np.intp) @ self._bits

    def _seen_pairs(self, models_of_make: Mapping[str, Sequence[str]]) -> NDArray[np.bool_]:
        """Return a table [code of make, code of model]: False if training never saw the two words together.

        A missing word goes with every other.
        """
        makes, models = self._words["make"], self._words["model"]
        pairs = np.zeros((len(makes.words), len(models.words)), dtype=np.bool_)
        for make, names in models_of_make.items():
            pairs[makes.codes([make])[0], models.codes(list(names))] = True
        pairs[makes.unknown] = pairs[:, models.unknown] = False
        pairs[makes.missing] = pairs[:, models.missing] = True
        return pairs


def _names_of(fields: tuple[str, ...], flags: int) -> tuple[str, ...]:
    return tuple(field for bit, field in enumerate(fields) if flags >> bit & 1)


def _round_cents(amount: Outputs) -> float:
    """Round the amount of one row to the hundredth in the way in which numpy rounds."""
    return round(amount.item() * 100) / 100


def _to_float32(column: Column) -> NDArray[np.float32]:
    """Convert a column to float32, with NaN for missing values."""
    if isinstance(column, pa.Array):
        floats: NDArray[np.float32] = pc.cast(column, pa.float32(), safe=False).to_numpy(zero_copy_only=False)
        return floats
    return np.array(column, dtype=np.float32)


ActivePriceModel: TypeAlias = ActiveModel[Pricer]
