"""The model card, generated from the manifest, so that its figures are the measured ones."""

from services.trainer.automobile.cross_validation import FOLDS, REPEATS
from services.trainer.card import card_fields
from shared.registry.model_manifest import Manifest

_CARD = """\
# Model card: {name} {version}

The list price of an automobile of the model year 1985, in {currency}: the model behind the published Car
Price Predictor app, served at `POST /score`. One gradient-boosted ensemble for the log price in one ONNX
graph. Created {created_at:%Y-%m-%d}; the same data and seed give the same graph.

## Intended use

Demonstrations, and apps that were built on this set. It has no data on cars made after 1985, nor on age or
use: do not value cars of today with it.

## Data and its limits

{source}.
SHA-256 of the file: `{digest}`.

- Licence: {licence}.
- {rows} rows with a price, {makes} makes, some of them with one to three cars. List prices of new cars.
- Rows are too few to hold any out: the figures below are of {folds}-fold cross-validation, the mean of
  {repeats} seeded repeats, in which neither the ensemble nor the codes of words were trained on the row that
  is predicted. The served graph is trained on all rows.

## Accuracy

| R² | mean absolute error | mean relative error | inside the interval |
|---|---|---|---|
| {r2:.4f} | {mae:,.0f} | {mape:.2%} | {inside:.2%} |

Graph and trained ensemble agree within a relative {parity:.1e} on every row. The interval is split-conformal
over the errors of the cross-validation, has one width in log price, and is meant to hold {coverage:.0%};
`POST /score` gives the price alone.

By fifths of the true price, first repeat:

{fifths_of_price}

By fifths of the predicted price:

{fifths_of_predicted_price}

With one input withheld:

{without_input}

## Accepted inputs

Any input may be missing or unknown: the ensemble is also trained on copies of rows with inputs withheld.
Words match in any case and with spaces for hyphens; numbers of doors and cylinders match as words or
digits; Peugot and Alfa Romero match as the set and its apps spell them or as their makers do. Beyond a
range the price stays the same as at its end.

{ranges}
"""


def write_card(manifest: Manifest) -> str:
    makes = len(manifest.inputs.cat[0].categories)
    return _CARD.format(**card_fields(manifest), makes=makes, folds=FOLDS, repeats=REPEATS)
