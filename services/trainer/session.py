"""The graph, run as the scorer runs it, so that the measured figures are those of the graph itself."""

from typing import NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from services.trainer.datasets.priced_rows import Floats
from services.trainer.graph import OUTPUTS

_BATCH_ROWS = 4096


class Prices(NamedTuple):
    price: Floats
    lower: Floats
    upper: Floats


class Session:
    def __init__(self, graph: bytes) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def run(self, cat: NDArray[np.object_], num: NDArray[np.float32]) -> Prices:
        batches = [
            self._session.run(OUTPUTS, {"cat": cat[at : at + _BATCH_ROWS], "num": num[at : at + _BATCH_ROWS]})
            for at in range(0, len(cat), _BATCH_ROWS)
        ]
        return Prices(*(np.concatenate(parts).astype(np.float64) for parts in zip(*batches, strict=True)))
