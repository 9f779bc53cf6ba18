"""Pricing of a batch, including its flags, compared with the bare ONNX run on the same inputs."""

from typing import Any

import numpy as np
import onnxruntime

from services.cli.bench.micro.decoding import make_readings
from services.cli.bench.micro.figures import Figure, measure
from shared.pricing.model import load_model
from shared.pricing.pricer import Pricer
from shared.registry.layout import GRAPH_FILE
from shared.registry.store import read_shipped

BATCHES, REPEATS = (64, 512, 4096), 20


def figures() -> list[Figure]:
    files = read_shipped(None)
    pricer = Pricer(load_model(files))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(files[GRAPH_FILE], options)
    return [_figure(pricer, session, size) for size in BATCHES]


def _figure(pricer: Pricer, session: Any, size: int) -> Figure:
    columns = pricer.columns_of(make_readings(size))
    words = np.array([["ford", "focus", "manual", "petrol"]] * size, dtype=object)
    numbers = np.array([[2017, 45_000.5 + row, 1.0, 5.2] for row in range(size)], dtype=np.float32)
    inputs = {"cat": words, "num": numbers}
    return measure(
        f"price_{size}",
        "rows/s",
        size * REPEATS,
        lambda: [pricer.price(columns) for _ in range(REPEATS)],
        lambda: [session.run(None, inputs) for _ in range(REPEATS)],
    )
