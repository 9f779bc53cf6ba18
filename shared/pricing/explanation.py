"""Explanations of a price by the contribution of each field, in log price and in currency."""

import io
import math
import zipfile
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import UNSET, Meta, Struct, UnsetType
from numpy.typing import NDArray

from shared.pricing.attributions import Attributions
from shared.registry.layout import TREES_FILE
from shared.registry.model_manifest import canonical
from shared.service.errors import ModelUnusable

Note = Literal["missing", "unknown", "out_of_range"]
_UNREADABLE = (KeyError, IndexError, ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile)


class Contribution(Struct, frozen=True):
    """The amount that one field adds to the price of a typical vehicle."""

    feature: str
    value: Annotated[str | float | None, Meta(description="As it was given")]
    log_price: Annotated[float, Meta(description="Its exact SHAP value")]
    currency: Annotated[float, Meta(description="Its share of the difference from `base_price`")]
    note: Annotated[Note, Meta(description="Why the model knows little of this value")] | UnsetType = UNSET


class Explanation(Struct, frozen=True):
    """`base_price` and the contributions' `currency` add up to the price, to the hundredth; `base_log_price`
    and their `log_price` to `log_price`. Largest contribution first.
    """

    base_price: Annotated[float, Meta(description="The model's price of a typical vehicle")]
    base_log_price: float
    log_price: float
    contributions: list[Contribution]


class Explainer:
    """An explainer of the prices of one version of a model."""

    def __init__(self, trees: bytes) -> None:
        """Read `trees`, the content of the version's `trees.npz`.

        Raises ModelUnusable if it cannot be read.
        """
        try:
            with np.load(io.BytesIO(trees), allow_pickle=False) as file:
                arrays = dict(file)
            self._attributions = Attributions(arrays)
            self._inputs: list[str] = arrays["feature_inputs"].tolist()
            self._codes = _codes(arrays, len(self._inputs))
        except _UNREADABLE as error:
            raise ModelUnusable(f"{TREES_FILE} cannot be read: {error}") from error

    def log_price(self, vehicle: Mapping[str, Any]) -> float:
        """Return the logarithm of the price that the trees give to `vehicle`."""
        return self._attributions.expected + float(self._contributions(vehicle).sum())

    def explain(self, vehicle: Mapping[str, Any], price: float, flagged: Collection[str]) -> Explanation:
        """Explain the `price` of `vehicle`, which takes milliseconds.

        `flagged` names the fields whose values training never saw.
        """
        of_feature = self._contributions(vehicle)
        # Several features may stand for one field.
        of_field = dict.fromkeys(self._inputs, 0.0)
        for name, contribution in zip(self._inputs, of_feature.tolist(), strict=True):
            of_field[name] += contribution
        base = self._attributions.expected
        base_price = round(math.exp(base), 2)
        shares = list(of_field.values())
        amounts = _in_currency(shares, math.exp(base), round(price * 100) - round(base_price * 100))
        contributions = [
            Contribution(name, vehicle[name], log_price, amount, _note(vehicle[name], name in flagged))
            for (name, log_price), amount in zip(of_field.items(), amounts, strict=True)
        ]
        contributions.sort(key=lambda one: -abs(one.log_price))
        return Explanation(base_price, base, base + math.fsum(shares), contributions)

    def _contributions(self, vehicle: Mapping[str, Any]) -> NDArray[np.float64]:
        features = [
            _number(vehicle[name]) if codes is None else codes.get(canonical(vehicle[name] or ""), math.nan)
            for name, codes in zip(self._inputs, self._codes, strict=True)
        ]
        return self._attributions.contributions(np.array(features, dtype=np.float32))


def _codes(arrays: Mapping[str, NDArray[Any]], count: int) -> list[dict[str, float] | None]:
    """Return, for each of the `count` features, a mapping from canonical word to code.

    The entry of a feature that is a number is None.
    """
    return [
        dict(zip(arrays[f"words_{k}"].tolist(), arrays[f"codes_{k}"].tolist(), strict=True))
        if f"words_{k}" in arrays
        else None
        for k in range(count)
    ]


def _in_currency(shares: Sequence[float], base_price: float, hundredths: int) -> list[float]:
    """Convert contributions in log price to currency, so that they add up to `hundredths` exactly.

    `hundredths` is price - base in hundredths. Each contribution is multiplied by (price - base) / (log price
    - log base). The difference that is due to the rounding of the prices is distributed in proportion to the
    amounts. Then each amount is rounded down to whole hundredths, and the hundredths still missing go to the
    largest remainders, one each.
    """
    total = math.fsum(shares)
    factor = 100 * base_price * (math.expm1(total) / total if total else 1.0)
    exact = [share * factor for share in shares]
    weight = math.fsum(map(abs, exact))
    left_over = hundredths - math.fsum(exact)
    if weight:
        exact = [amount + left_over * abs(amount) / weight for amount in exact]
    whole = [math.floor(amount) for amount in exact]
    by_remainder = sorted(range(len(exact)), key=lambda k: whole[k] - exact[k])
    for k in range(hundredths - sum(whole)):
        whole[by_remainder[k % len(exact)]] += 1
    return [amount / 100 for amount in whole]


def _note(value: str | float | None, is_flagged: bool) -> Note | UnsetType:
    if value is None or (isinstance(value, str) and not value.strip()):
        return "missing"
    if not is_flagged:
        return UNSET
    return "unknown" if isinstance(value, str) else "out_of_range"


def _number(value: float | None) -> float:
    return math.nan if value is None else value
