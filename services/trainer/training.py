"""From data to a model version: read, divide, grow, calibrate, assemble, measure, write."""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from services.trainer.accuracy import measure
from services.trainer.automobile.training import build as build_automobile
from services.trainer.card import write_card
from services.trainer.datasets.automobiles import read_automobiles
from services.trainer.datasets.used_cars import (
    CATEGORICAL,
    NUMERIC,
    UNITS,
    Floats,
    Listings,
    Mask,
    read_listings,
)
from services.trainer.ensemble import Ensembles, Recipe, grow
from services.trainer.features import FEATURE_INPUTS
from services.trainer.golden import golden_rows
from services.trainer.graph import assemble
from services.trainer.interval import calibrate
from services.trainer.session import Session
from services.trainer.settings import TrainerSettings
from services.trainer.split import Parts, divide
from services.trainer.trees import encode_trees
from services.trainer.version import Version, metadata, parity_or_refuse
from shared.registry.layout import GRAPH_FILE, TREES_FILE
from shared.registry.manifest import CategoricalInput, Inputs, Manifest, NumericInput, Training
from shared.registry.version_folder import name_new_version, write_version_folder

NAME, CURRENCY, COVERAGE = "price", "GBP", 0.9
SOURCE = "100,000 UK Used Car Data set (Kaggle, adityadesai13), cleaned; asking prices around 2020"
LICENCE = "believed CC0 on its Kaggle page, not verified; the rows are not redistributed"
_RECIPE = Recipe()


def train(settings: TrainerSettings) -> Manifest:
    """Write the version folder `settings.out`. Raises NeedsAttention where data or folder do not do, and
    ModelUnusable where the graph does not say what the ensembles say.
    """
    version = name_new_version(settings.out)
    created_at = datetime.now(UTC).replace(microsecond=0)
    options: Any = {"created_at": created_at, "seed": settings.seed, "threads": settings.threads}
    if settings.model == "automobile":
        # Threads wait for each other longer than 200 rows take: ten times longer on a busy machine.
        built = build_automobile(read_automobiles(settings.data), version, **(options | {"threads": 1}))
    else:
        built = build(read_listings(settings.data), version, **options)
    write_version_folder(settings.out, built.files)
    return built.manifest


def build(
    listings: Listings,
    version: str,
    *,
    created_at: datetime,
    seed: int,
    threads: int,
    recipe: Recipe = _RECIPE,
) -> Version:
    """Nothing of it but `created_at` differs between two runs on the same rows with the same seed."""
    parts = divide(listings.share)
    ensembles = grow(listings, parts.train, recipe, seed=seed, threads=threads)
    log_factor = calibrate(*_unseen(ensembles, listings, parts.calibration), COVERAGE)
    price = ensembles.price_trees()
    inputs = _inputs(listings, ensembles, parts.train)
    graph = assemble(
        ensembles.codes,
        listings.spellings,
        price,
        ensembles.spread_trees(log_factor),
        metadata(NAME, version, currency=CURRENCY, coverage=COVERAGE, digest=listings.digest, inputs=inputs),
        numbers=len(NUMERIC),
    )
    session = Session(graph)
    parity = _parity_or_refuse(session, ensembles, log_factor, listings)
    trees = encode_trees(price, FEATURE_INPUTS, ensembles.codes.mappings)
    manifest = Manifest(
        name=NAME,
        version=version,
        created_at=created_at,
        currency=CURRENCY,
        coverage=COVERAGE,
        inputs=inputs,
        models_of_make=_models_of_make(listings, parts.train),
        training=_training(listings, parts, recipe, seed),
        metrics=measure(session, listings, parts.held_out, parity),
        golden=golden_rows(session),
        files={},
    )
    return Version.of(manifest, {GRAPH_FILE: graph, TREES_FILE: trees}, write_card(manifest))


def _unseen(ensembles: Ensembles, listings: Listings, rows: Mask) -> tuple[Floats, Floats]:
    features = ensembles.codes.features(listings.cat[rows], listings.num[rows])
    return listings.log_price[rows] - ensembles.log_price(features), ensembles.log_spread(features)


def _parity_or_refuse(session: Session, ensembles: Ensembles, log_factor: float, listings: Listings) -> float:
    features = ensembles.codes.features(listings.cat, listings.num)
    half_width = np.exp(ensembles.log_spread(features) + log_factor)
    return parity_or_refuse(
        session.run(listings.cat, listings.num), ensembles.log_price(features), half_width
    )


def _inputs(listings: Listings, ensembles: Ensembles, rows: Mask) -> Inputs:
    num = listings.num[rows].astype(np.float64)
    return Inputs(
        cat=tuple(
            CategoricalInput(name, tuple(sorted(mapping)))
            for name, mapping in zip(CATEGORICAL, ensembles.codes.mappings, strict=False)
        ),
        num=tuple(
            NumericInput(name, unit, float(np.nanmin(num[:, k])), float(np.nanmax(num[:, k])))
            for k, (name, unit) in enumerate(zip(NUMERIC, UNITS, strict=True))
        ),
    )


def _models_of_make(listings: Listings, rows: Mask) -> dict[str, tuple[str, ...]]:
    pairs = sorted({(make, model) for make, model, *_ in listings.cat[rows].tolist() if make and model})
    makes = sorted({make for make, _ in pairs})
    return {make: tuple(model for of, model in pairs if of == make) for make in makes}


def _training(listings: Listings, parts: Parts, recipe: Recipe, seed: int) -> Training:
    return Training(
        source=SOURCE,
        licence=LICENCE,
        digest=listings.digest,
        rows=int(parts.train.sum()),
        calibration_rows=int(parts.calibration.sum()),
        held_out_rows=int(parts.held_out.sum()),
        seed=seed,
        parameters=recipe.parameters(),
    )
