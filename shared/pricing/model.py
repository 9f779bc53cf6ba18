"""Loading of a model version and checking it against its manifest."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from shared.pricing.explanation import Explainer
from shared.pricing.graph_thresholds import Thresholds, find_thresholds
from shared.registry.layout import GRAPH_FILE, MANIFEST_FILE, TREES_FILE
from shared.registry.model_manifest import GOLDEN_RELATIVE_TOLERANCE, GoldenRow, Manifest, decode_manifest
from shared.service.errors import ModelUnusable

OUTPUTS = ("price", "lower", "upper")
Outputs = NDArray[np.float32]

_CANNOT_LOAD = (
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


@dataclass(frozen=True, slots=True)
class PriceModel:
    """The checked graph of one model version, with its manifest.

    `thresholds` are the values of each number at which the price can change; None if they cannot be found in
    the graph.
    """

    manifest: Manifest
    session: ort.InferenceSession
    explainer: Explainer | None = None
    thresholds: Thresholds | None = None

    def run(self, cat: NDArray[np.object_], num: NDArray[np.float32]) -> tuple[Outputs, Outputs, Outputs]:
        """Return price, lower and upper, each [N], for `cat` [N, k] and `num` [N, m].

        The columns must be in the order of the manifest.
        """
        price, lower, upper = self.session.run(OUTPUTS, {"cat": cat, "num": num})
        return price, lower, upper


def load_model(files: Mapping[str, bytes]) -> PriceModel:
    """Load a version, given its files by name.

    Raises ModelUnusable if a file is missing or unreadable, or if the files break a promise of the manifest.
    """
    if MANIFEST_FILE not in files or GRAPH_FILE not in files:
        raise ModelUnusable(f"the version's folder lacks {MANIFEST_FILE} or {GRAPH_FILE}")
    manifest = decode_manifest(files[MANIFEST_FILE])
    _check_digests(manifest, files)
    session = _open_session(files[GRAPH_FILE])
    _check_signature(manifest, session)
    thresholds = find_thresholds(files[GRAPH_FILE], len(manifest.inputs.num))
    model = PriceModel(manifest, session, _read_explainer(manifest, files), thresholds)
    _check_golden_rows(model)
    return model


def _check_digests(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    if GRAPH_FILE not in manifest.files:
        raise ModelUnusable(f"{MANIFEST_FILE} has no digest of {GRAPH_FILE}")
    if TREES_FILE in manifest.files and TREES_FILE not in files:
        raise ModelUnusable(f"the version's folder lacks {TREES_FILE}, whose digest {MANIFEST_FILE} holds")
    for name, digest in manifest.files.items():
        if name in files and hashlib.sha256(files[name]).hexdigest() != digest:
            raise ModelUnusable(f"{name} is not the file whose digest {MANIFEST_FILE} holds")


def _read_explainer(manifest: Manifest, files: Mapping[str, bytes]) -> Explainer | None:
    return Explainer(files[TREES_FILE]) if TREES_FILE in manifest.files else None


def _open_session(graph: bytes) -> ort.InferenceSession:
    """Open the graph with a single thread.

    The service scales by processes, and a pool of spinning threads would starve the event loop. Raises
    ModelUnusable if the graph cannot be loaded.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only: the checks below find what it warns of
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except _CANNOT_LOAD as error:
        raise ModelUnusable(f"{GRAPH_FILE} cannot be loaded: {error}") from error


def _check_signature(manifest: Manifest, session: ort.InferenceSession) -> None:
    inputs = {one.name: (one.type, one.shape[1:]) for one in session.get_inputs()}
    expected = {
        "cat": ("tensor(string)", [len(manifest.inputs.cat)]),
        "num": ("tensor(float)", [len(manifest.inputs.num)]),
    }
    if inputs != expected:
        raise ModelUnusable(f"{GRAPH_FILE} takes {inputs}, the manifest says {expected}")
    outputs = {one.name: (one.type, len(one.shape)) for one in session.get_outputs()}
    if outputs != dict.fromkeys(OUTPUTS, ("tensor(float)", 1)):
        raise ModelUnusable(f"{GRAPH_FILE} gives {outputs} instead of {', '.join(OUTPUTS)}")


def _check_golden_rows(model: PriceModel) -> None:
    rows = model.manifest.golden
    if not rows:
        raise ModelUnusable(f"{MANIFEST_FILE} has no golden rows")
    widths = (len(model.manifest.inputs.cat), len(model.manifest.inputs.num))
    if any((len(row.cat), len(row.num)) != widths for row in rows):
        raise ModelUnusable("a golden row has not as many values as the model has inputs")
    cat = np.array([row.cat for row in rows], dtype=np.object_)
    num = np.array([row.num for row in rows], dtype=np.float32)
    try:
        answers = np.column_stack(model.run(cat, num))
    except _CANNOT_LOAD as error:
        raise ModelUnusable(f"{GRAPH_FILE} cannot price the golden rows: {error}") from error
    for row, answer in zip(rows, answers, strict=True):
        _check_golden_row(row, answer)
    if model.explainer is not None:
        _check_explained(model.explainer, model.manifest)


def _check_golden_row(row: GoldenRow, answer: Outputs) -> None:
    expected = np.array([row.price, row.lower, row.upper])
    if not np.allclose(answer, expected, rtol=GOLDEN_RELATIVE_TOLERANCE, atol=0):
        raise ModelUnusable(f"golden row {row.title!r} is {answer.tolist()}, not {expected.tolist()}")


def _check_explained(explainer: Explainer, manifest: Manifest) -> None:
    """Check that the trees of the explainer give the same price as the graph for one golden row.

    One row is enough, because its price is the sum over all trees. Raises ModelUnusable if the check fails.
    """
    row = manifest.golden[0]
    names = [*(one.name for one in manifest.inputs.cat), *(one.name for one in manifest.inputs.num)]
    vehicle = dict(zip(names, (*row.cat, *row.num), strict=True))
    try:
        price = math.exp(explainer.log_price(vehicle))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ModelUnusable(
            f"{TREES_FILE} explains other inputs than the manifest lists: {error!r}"
        ) from error
    if not math.isclose(price, row.price, rel_tol=GOLDEN_RELATIVE_TOLERANCE):
        raise ModelUnusable(f"{TREES_FILE} prices golden row {row.title!r} at {price}, not {row.price}")
