"""Prices of automobiles of 1985, for which the published Car Price Predictor app asks."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.contract.automobile import NUMBERS, WORDS
from shared.pricing.model import PriceModel, load_model
from shared.pricing.pricer import ROWS_PRICED
from shared.registry.active_model import ActiveModel
from shared.registry.model_manifest import canonical
from shared.service.errors import ModelUnusable

Automobile = Mapping[str, Any]


class AutomobilePricer:
    """A pricer of automobiles of 1985 with one version of a model."""

    def __init__(self, model: PriceModel) -> None:
        """Make the pricer. Raises ModelUnusable if the model has inputs that automobiles do not have."""
        self.manifest = model.manifest
        self._model = model
        inputs = model.manifest.inputs
        self._words = tuple(one.name for one in inputs.cat)
        self._numbers = tuple(one.name for one in inputs.num)
        if not (set(self._words) <= set(WORDS) and set(self._numbers) <= set(NUMBERS)):
            raise ModelUnusable("the model takes inputs that an automobile of 1985 does not have")

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "AutomobilePricer":
        """Load a version, given its files by name.

        Raises ModelUnusable if the files break a promise of the manifest, or if the model does not fit
        automobiles.
        """
        return cls(load_model(files))

    def price(self, automobiles: Sequence[Automobile]) -> list[float]:
        """Return the price of each automobile, rounded to the hundredth of the currency.

        The fields have the app's names; a field that is absent or None is a missing value. The graph knows
        the app's spellings. Numbers of doors and cylinders may be words or digits.
        """
        cat = [[_word(each.get(name)) for name in self._words] for each in automobiles]
        num = [[each.get(name) for name in self._numbers] for each in automobiles]
        prices: list[float] = self.price_rows(cat, np.array(num, dtype=np.float32))[0].tolist()
        return prices

    def price_rows(self, words: Sequence[Sequence[str]], numbers: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return price, lower and upper [3, N] of N rows.

        The columns are in the order of the manifest. "" is a missing word, NaN a missing number.
        """
        cat = np.array([[canonical(word) for word in row] for row in words], dtype=np.object_)
        outputs = self._model.run(cat, numbers)
        ROWS_PRICED.inc(len(numbers))
        return np.array(outputs, dtype=np.float64).round(2)


def _word(value: str | float | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:g}"


ActiveAutomobileModel: TypeAlias = ActiveModel[AutomobilePricer]
