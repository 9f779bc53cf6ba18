"""The training of a model version: read, split, train, calibrate, assemble, measure, write."""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from services.trainer.accuracy import measure
from services.trainer.automobile.training import build as build_automobile
from services.trainer.card import write_card
from services.trainer.datasets.automobiles import read_automobiles
from services.trainer.datasets.priced_rows import Floats, Mask
from services.trainer.datasets.used_cars import CATEGORICAL, NUMERIC, UNITS, Listings, read_listings
from services.trainer.ensemble import Ensembles, Recipe, train_ensembles
from services.trainer.features import FEATURE_INPUTS
from services.trainer.golden import golden_rows
from services.trainer.graph import assemble
from services.trainer.interval import calibrate
from services.trainer.progress import report
from services.trainer.session import Session
from services.trainer.settings import TrainerSettings
from services.trainer.split import Split, split_rows
from services.trainer.trees import encode_trees
from services.trainer.version import Version, check_parity, graph_metadata
from shared.registry.layout import GRAPH_FILE, TREES_FILE
from shared.registry.model_manifest import CategoricalInput, Inputs, Manifest, NumericInput, Training
from shared.registry.version_folder import name_new_version, write_version_folder

NAME, CURRENCY, COVERAGE = "price", "GBP", 0.9
SOURCE = "100,000 UK Used Car Data set (Kaggle, adityadesai13), cleaned; asking prices around 2020"
LICENCE = "believed CC0 on its Kaggle page, not verified; the rows are not redistributed"
_RECIPE = Recipe()


def train(settings: TrainerSettings) -> Manifest:
    """Train a version and write its files to the folder `settings.out`.

    Raises NeedsAttention if the data or the folder cannot be used, and ModelUnusable if the graph and the
    ensembles disagree.
    """
    version = name_new_version(settings.out)
    report("read the data")
    created_at = datetime.now(UTC).replace(microsecond=0)
    options: Any = {"created_at": created_at, "seed": settings.seed, "threads": settings.threads}
    if settings.model == "automobile":
        # One thread: with 200 rows, threads wait for each other ten times longer on a busy machine.
        built = build_automobile(read_automobiles(settings.data), version, **(options | {"threads": 1}))
    else:
        built = build(read_listings(settings.data), version, **options)
    report("write the version")
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
    """Build a version. Versions built from the same rows with the same seed differ only in `created_at`."""
    split = split_rows(listings.share)
    ensembles = train_ensembles(listings, split.train, recipe, seed=seed, threads=threads)
    report("calibrate the interval")
    log_factor = calibrate(*_calibration_errors(ensembles, listings, split.calibration), COVERAGE)
    price = ensembles.price_trees()
    inputs = _describe_inputs(listings, ensembles, split.train)
    graph = assemble(
        ensembles.codes,
        listings.spellings,
        price,
        ensembles.spread_trees(log_factor),
        graph_metadata(
            NAME, version, currency=CURRENCY, coverage=COVERAGE, digest=listings.digest, inputs=inputs
        ),
        numbers=len(NUMERIC),
    )
    report("compare the graph with the ensembles, and measure")
    session = Session(graph)
    parity = _check_parity(session, ensembles, log_factor, listings)
    trees = encode_trees(price, FEATURE_INPUTS, ensembles.codes.mappings)
    manifest = Manifest(
        name=NAME,
        version=version,
        created_at=created_at,
        currency=CURRENCY,
        coverage=COVERAGE,
        inputs=inputs,
        models_of_make=_group_models_by_make(listings, split.train),
        training=_describe_training(listings, split, recipe, seed),
        metrics=measure(session, listings, split.held_out, parity),
        golden=golden_rows(session),
        files={},
    )
    return Version.from_manifest(manifest, {GRAPH_FILE: graph, TREES_FILE: trees}, write_card(manifest))


def _calibration_errors(ensembles: Ensembles, listings: Listings, rows: Mask) -> tuple[Floats, Floats]:
    features = ensembles.codes.features(listings.cat[rows], listings.num[rows])
    return listings.log_price[rows] - ensembles.log_price(features), ensembles.log_spread(features)


def _check_parity(session: Session, ensembles: Ensembles, log_factor: float, listings: Listings) -> float:
    features = ensembles.codes.features(listings.cat, listings.num)
    half_width = np.exp(ensembles.log_spread(features) + log_factor)
    return check_parity(session.run(listings.cat, listings.num), ensembles.log_price(features), half_width)


def _describe_inputs(listings: Listings, ensembles: Ensembles, rows: Mask) -> Inputs:
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


def _group_models_by_make(listings: Listings, rows: Mask) -> dict[str, tuple[str, ...]]:
    pairs = sorted({(make, model) for make, model, *_ in listings.cat[rows].tolist() if make and model})
    makes = sorted({make for make, _ in pairs})
    return {make: tuple(model for of, model in pairs if of == make) for make in makes}


def _describe_training(listings: Listings, split: Split, recipe: Recipe, seed: int) -> Training:
    return Training(
        source=SOURCE,
        licence=LICENCE,
        digest=listings.digest,
        rows=int(split.train.sum()),
        calibration_rows=int(split.calibration.sum()),
        held_out_rows=int(split.held_out.sum()),
        seed=seed,
        parameters=recipe.parameters(),
    )
