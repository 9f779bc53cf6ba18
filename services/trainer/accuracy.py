"""How good the graph is, on rows that neither taught nor calibrated it."""

import numpy as np

from services.trainer.datasets.used_cars import CATEGORICAL, INPUTS, Floats, Listings, Mask
from services.trainer.features import withhold
from services.trainer.session import Priced, Session
from shared.registry.manifest import Band, Blind, Metrics

_FIFTHS = 5


def measure(
    session: Session, listings: Listings, held_out: Mask, parity_max_relative_error: float
) -> Metrics:
    cat, num, true = listings.cat[held_out], listings.num[held_out], listings.price[held_out]
    priced = session.run(cat, num)
    error = priced.price - true
    return Metrics(
        r2=float(1 - (error**2).sum() / ((true - true.mean()) ** 2).sum()),
        mae=float(np.abs(error).mean()),
        mape=float((np.abs(error) / true).mean()),
        coverage=coverage_of(priced, true),
        fifths_of_price=fifths(true, priced, true),
        fifths_of_predicted_price=fifths(priced.price, priced, true),
        without_input=tuple(_blind(session, listings, held_out, name) for name in INPUTS),
        parity_max_relative_error=parity_max_relative_error,
    )


def coverage_of(priced: Priced, true: Floats) -> float:
    return float(((priced.lower <= true) & (true <= priced.upper)).mean())


def fifths(by: Floats, priced: Priced, true: Floats) -> tuple[Band, ...]:
    """Five bands of about as many rows each, from the cheapest to the dearest by `by`."""
    place = np.searchsorted(np.quantile(by, [0.2, 0.4, 0.6, 0.8]), by)
    return tuple(_band(by, priced, true, place == k) for k in range(_FIFTHS))


def relative_difference(one: Priced, other: Priced) -> float:
    """The largest over all rows and outputs."""
    return max(float((np.abs(a - b) / np.abs(b)).max()) for a, b in zip(one, other, strict=True))


def _band(by: Floats, priced: Priced, true: Floats, rows: Mask) -> Band:
    inside = Priced(*(output[rows] for output in priced))
    return Band(
        minimum=float(by[rows].min()),
        maximum=float(by[rows].max()),
        rows=int(rows.sum()),
        coverage=coverage_of(inside, true[rows]),
        mae=float(np.abs(inside.price - true[rows]).mean()),
        median_width=float(np.median(inside.upper - inside.lower)),
    )


def _blind(session: Session, listings: Listings, held_out: Mask, name: str) -> Blind:
    cat, num, true = listings.cat[held_out], listings.num[held_out], listings.price[held_out]
    withheld = withhold(len(true), name)
    words, numbers = withheld[:, : len(CATEGORICAL)], withheld[:, len(CATEGORICAL) :]
    priced = session.run(np.where(words, "", cat), np.where(numbers, np.float32(np.nan), num))
    return Blind(
        name=name,
        coverage=coverage_of(priced, true),
        mae=float(np.abs(priced.price - true).mean()),
        median_width=float(np.median(priced.upper - priced.lower)),
    )
