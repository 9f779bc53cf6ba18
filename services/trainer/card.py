"""The model card, generated from the manifest, so that its figures are the measured ones."""

from typing import Any

from shared.registry.model_manifest import Band, Manifest

_CARD = """\
# Model card: {name} {version}

The asking price of a used car on the UK market, in {currency}, with an interval meant to hold
{coverage:.0%} of asking prices. Two gradient-boosted ensembles (log price, and its typical error) in one ONNX
graph; the interval is normalised split-conformal. Created {created_at:%Y-%m-%d}; the same data and seed give
the same graph.

## Intended use

Live values of a fleet's vehicles from the fields that they report: make, model, transmission, fuel type,
year, odometer, engine size and rated consumption. Not for lending, insurance or tax decisions about a
person: it is not based on sale prices, and no input distinguishes a cared-for car from a neglected one.

## Data and its limits

{source}.
SHA-256 of the file: `{digest}`.

- Licence: {licence}.
- Asking prices, not sale prices, a few of them typing errors. One snapshot without listing dates, so there is
  no split by time, and today's level of prices is not in it.
- {makes} makes and {models} models, years {year_from:.0f} to {year_to:.0f}; no condition, damage, owner or
  equipment column. Electric cars are almost absent: their prices are a guess.
- {rows:,} rows trained the ensembles, {calibration_rows:,} calibrated the interval, and {held_out_rows:,}
  were held out by a hash of the row and used for neither. All figures below are of the held-out rows, priced
  by the graph itself.

## Accuracy

| R² | mean absolute error | mean relative error | inside the interval |
|---|---|---|---|
| {r2:.4f} | {mae:,.0f} | {mape:.2%} | {inside:.2%} |

Graph and trained ensembles agree within a relative {parity:.1e} on every row (price, lower, upper).

By fifths of the true price:

{fifths_of_price}

By fifths of the predicted price, which a reader of a prediction knows:

{fifths_of_predicted_price}

With one input withheld (a vehicle without its make has no model either):

{without_input}

## Flags

A prediction names in `extrapolated` every input with a word not seen in training (a model under another make
included), or with a number outside the range seen in training:

{ranges}

Such a vehicle is still priced, as the ensembles learned from training rows with that input withheld, and a
missing or unknown input widens its interval. Beyond a range the price stays the same as at its end; there the
flag is the only warning. The price never rises with the odometer, all else equal. It may fall with the year
if the rated consumption stays the same: cars approved under a later, stricter test cycle are another trim.
"""


def write_card(manifest: Manifest) -> str:
    training = manifest.training
    year = next(number for number in manifest.inputs.num if number.name == "year")
    return _CARD.format(
        **card_fields(manifest),
        makes=len(manifest.models_of_make),
        models=sum(map(len, manifest.models_of_make.values())),
        year_from=year.minimum,
        year_to=year.maximum,
        calibration_rows=training.calibration_rows,
        held_out_rows=training.held_out_rows,
    )


def card_fields(manifest: Manifest) -> dict[str, Any]:
    """Return the values for the placeholders that every model's card text has, by placeholder name."""
    metrics, training = manifest.metrics, manifest.training
    return {
        "name": manifest.name,
        "version": manifest.version,
        "currency": manifest.currency,
        "coverage": manifest.coverage,
        "created_at": manifest.created_at,
        "source": training.source,
        "digest": training.digest,
        "licence": training.licence,
        "rows": training.rows,
        "r2": metrics.r2,
        "mae": metrics.mae,
        "mape": metrics.mape,
        "inside": metrics.coverage,
        "parity": metrics.parity_max_relative_error,
        "fifths_of_price": format_bands(metrics.fifths_of_price, manifest.currency),
        "fifths_of_predicted_price": format_bands(metrics.fifths_of_predicted_price, manifest.currency),
        "without_input": format_blinds(manifest),
        "ranges": format_ranges(manifest),
    }


def format_bands(format_bands: tuple[Band, ...], currency: str) -> str:
    rows = [
        f"| {band.minimum:,.0f} to {band.maximum:,.0f} | {band.rows:,} | {band.coverage:.1%} "
        f"| {band.mae:,.0f} | {band.median_width:,.0f} |"
        for band in format_bands
    ]
    head = f"| price, {currency} | rows | inside the interval | mean absolute error | median width |"
    return "\n".join([head, "|---|---|---|---|---|", *rows])


def format_blinds(manifest: Manifest) -> str:
    rows = [
        f"| {blind.name} | {blind.coverage:.1%} | {blind.mae:,.0f} | {blind.median_width:,.0f} |"
        for blind in manifest.metrics.without_input
    ]
    head = "| withheld | inside the interval | mean absolute error | median width |"
    return "\n".join([head, "|---|---|---|---|", *rows])


def format_ranges(manifest: Manifest) -> str:
    words = [f"| {each.name} | {len(each.categories)} known words |" for each in manifest.inputs.cat]
    numbers = [
        f"| {each.name} | {each.minimum:g} to {each.maximum:g} {each.unit}".rstrip() + " |"
        for each in manifest.inputs.num
    ]
    return "\n".join(["| input | seen in training |", "|---|---|", *words, *numbers])
