"""The training of the model behind `POST /score` on the 1985 automobile set."""

from datetime import datetime

import numpy as np

from services.trainer.automobile.card import write_card
from services.trainer.automobile.cross_validation import (
    FOLDS,
    REPEATS,
    compute_metrics,
    cross_validate,
    log_half_width,
)
from services.trainer.automobile.ensemble import Ensemble, Recipe
from services.trainer.automobile.golden import golden_rows
from services.trainer.datasets.automobiles import Automobiles
from services.trainer.graph import assemble
from services.trainer.progress import report
from services.trainer.session import Session
from services.trainer.trees import Trees, encode_trees
from services.trainer.version import Version, check_parity, graph_metadata
from shared.contract.automobile import INPUTS, NUMBERS, UNIT_OF_NUMBER, WORDS
from shared.registry.layout import GRAPH_FILE, TREES_FILE
from shared.registry.model_manifest import CategoricalInput, Inputs, Manifest, NumericInput, Training

NAME, CURRENCY, COVERAGE = "automobile", "USD", 0.9
SOURCE = "Automobile (UCI Machine Learning Repository, 1985), the set of Azure ML's automobile price sample"
LICENCE = "CC BY 4.0 (UCI); the rows are not redistributed"


def build(
    cars: Automobiles,
    version: str,
    *,
    created_at: datetime,
    seed: int,
    threads: int,
    recipe: Recipe | None = None,
) -> Version:
    """Build a version. Versions built from the same rows with the same seed differ only in `created_at`."""
    recipe = recipe or Recipe()
    validated = cross_validate(cars, recipe, seed=seed, threads=threads)
    half_width = log_half_width(cars, validated, COVERAGE)
    report("train on all cars")
    ensemble = Ensemble.train(cars, np.ones(len(cars), dtype=bool), recipe, seed=seed, threads=threads)
    report("compare the graph with the ensemble, and measure")
    price = ensemble.trees()
    inputs = _describe_inputs(cars)
    about = graph_metadata(
        NAME, version, currency=CURRENCY, coverage=COVERAGE, digest=cars.digest, inputs=inputs
    )
    graph = _assemble(ensemble, price, half_width, about)
    session = Session(graph)
    log_price = ensemble.log_price(ensemble.codes.features(cars.cat, cars.num))
    parity = check_parity(session.run(cars.cat, cars.num), log_price, np.exp(half_width))
    trees = encode_trees(price, INPUTS, ensemble.codes.mappings)
    manifest = Manifest(
        name=NAME,
        version=version,
        created_at=created_at,
        currency=CURRENCY,
        coverage=COVERAGE,
        inputs=inputs,
        models_of_make={},
        training=_describe_training(cars, recipe, seed),
        metrics=compute_metrics(cars, validated, COVERAGE, parity),
        golden=golden_rows(session),
        files={},
    )
    return Version.from_manifest(manifest, {GRAPH_FILE: graph, TREES_FILE: trees}, write_card(manifest))


def _assemble(ensemble: Ensemble, price: Trees, half_width: float, about: dict[str, str]) -> bytes:
    """Assemble the graph. The ensemble's codes already include other spellings of the words."""
    spellings: tuple[frozenset[str], ...] = (frozenset(),) * len(WORDS)
    return assemble(ensemble.codes, spellings, price, Trees.constant(half_width), about, numbers=len(NUMBERS))


def _describe_inputs(cars: Automobiles) -> Inputs:
    num = cars.num.astype(np.float64)
    return Inputs(
        cat=tuple(
            CategoricalInput(name, tuple(sorted(set(cars.cat[:, k]) - {""}))) for k, name in enumerate(WORDS)
        ),
        num=tuple(
            NumericInput(name, unit, float(np.nanmin(num[:, k])), float(np.nanmax(num[:, k])))
            for k, (name, unit) in enumerate(UNIT_OF_NUMBER.items())
        ),
    )


def _describe_training(cars: Automobiles, recipe: Recipe, seed: int) -> Training:
    return Training(
        source=SOURCE,
        licence=LICENCE,
        digest=cars.digest,
        rows=len(cars),
        calibration_rows=0,
        held_out_rows=0,
        seed=seed,
        parameters=recipe.parameters() | {"folds": FOLDS, "repeats": REPEATS},
    )
