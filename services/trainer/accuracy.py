"""The accuracy of the graph, on rows used neither to train nor to calibrate it."""

import numpy as np

from services.trainer.datasets.priced_rows import Floats, Mask
from services.trainer.datasets.used_cars import CATEGORICAL, INPUTS, Listings
from services.trainer.features import withhold
from services.trainer.session import Prices, Session
from shared.registry.model_manifest import Band, Blind, Metrics

_FIFTHS = 5


def measure(
    session: Session, listings: Listings, held_out: Mask, parity_max_relative_error: float
) -> Metrics:
    cat, num, true = listings.cat[held_out], listings.num[held_out], listings.price[held_out]
    prices = session.run(cat, num)
    error = prices.price - true
    return Metrics(
        r2=float(1 - (error**2).sum() / ((true - true.mean()) ** 2).sum()),
        mae=float(np.abs(error).mean()),
        mape=float((np.abs(error) / true).mean()),
        coverage=measure_coverage(prices, true),
        fifths_of_price=measure_fifths(true, prices, true),
        fifths_of_predicted_price=measure_fifths(prices.price, prices, true),
        without_input=tuple(_measure_without(session, listings, held_out, name) for name in INPUTS),
        parity_max_relative_error=parity_max_relative_error,
    )


def measure_coverage(prices: Prices, true: Floats) -> float:
    return float(((prices.lower <= true) & (true <= prices.upper)).mean())


def measure_fifths(by: Floats, prices: Prices, true: Floats) -> tuple[Band, ...]:
    """Measure accuracy in five bands of about equal size, from the lowest to the highest value of `by`."""
    band = np.searchsorted(np.quantile(by, [0.2, 0.4, 0.6, 0.8]), by)
    return tuple(_measure_band(by, prices, true, band == k) for k in range(_FIFTHS))


def relative_difference(one: Prices, other: Prices) -> float:
    """Return the largest difference of `one` from `other`, relative to `other`, over all rows and outputs."""
    return max(float((np.abs(a - b) / np.abs(b)).max()) for a, b in zip(one, other, strict=True))


def _measure_band(by: Floats, prices: Prices, true: Floats, rows: Mask) -> Band:
    inside = Prices(*(output[rows] for output in prices))
    return Band(
        minimum=float(by[rows].min()),
        maximum=float(by[rows].max()),
        rows=int(rows.sum()),
        coverage=measure_coverage(inside, true[rows]),
        mae=float(np.abs(inside.price - true[rows]).mean()),
        median_width=float(np.median(inside.upper - inside.lower)),
    )


def _measure_without(session: Session, listings: Listings, held_out: Mask, name: str) -> Blind:
    cat, num, true = listings.cat[held_out], listings.num[held_out], listings.price[held_out]
    withheld = withhold(len(true), name)
    words, numbers = withheld[:, : len(CATEGORICAL)], withheld[:, len(CATEGORICAL) :]
    prices = session.run(np.where(words, "", cat), np.where(numbers, np.float32(np.nan), num))
    return Blind(
        name=name,
        coverage=measure_coverage(prices, true),
        mae=float(np.abs(prices.price - true).mean()),
        median_width=float(np.median(prices.upper - prices.lower)),
    )
