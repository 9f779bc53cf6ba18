"""The bare model in a separate process: the floor of every scorer on one core.

`python -m services.cli.bench.scorer.onnx_floor` runs only the graph of the shipped champion, on one thread,
over batches of several sizes. The batches are made beforehand, from the same readings as those in the hub.
The conversion of string inputs is part of each run, as it is in the scorer. The output is one JSON line: the
best batch size, and its rows per second of processor time.
"""

import json
import statistics
import time
from typing import Any

import numpy as np
import onnxruntime

from services.cli.bench.bodies import make_readings
from shared.registry.champion import decode_champion
from shared.registry.layout import CHAMPION_FILE, GRAPH_FILE, MANIFEST_FILE
from shared.registry.model_manifest import canonical, decode_manifest
from shared.registry.shipped import shipped_models

BATCHES = (64, 128, 256, 512, 1_024, 2_048, 4_096)
_ROWS, _REPEATS = 16_384, 7


def _make_inputs(manifest: Any, rows: int) -> dict[str, Any]:
    fleet = make_readings(0, rows)
    words = [[canonical(getattr(one, column.name) or "") for column in manifest.inputs.cat] for one in fleet]
    numbers = [[getattr(one, column.name) for column in manifest.inputs.num] for one in fleet]
    return {"cat": np.array(words, dtype=object), "num": np.array(numbers, dtype=np.float32)}


def _measure_rate(session: Any, inputs: dict[str, Any]) -> float:
    rows = len(inputs["num"])
    times_s = []
    for _ in range(_REPEATS):
        started_s = time.process_time()
        for _ in range(_ROWS // rows):
            session.run(None, inputs)
        times_s.append(time.process_time() - started_s)
    return _ROWS / statistics.median(times_s)


def load_shipped_champion() -> tuple[Any, Any]:
    """Load the shipped champion. Return a session that runs on one thread, and the manifest.

    Raises SystemExit if no model is shipped with this installation.
    """
    registry = shipped_models()
    if registry is None:
        raise SystemExit("no model is shipped with this installation")
    folder = registry / decode_champion((registry / CHAMPION_FILE).read_bytes()).version
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        (folder / GRAPH_FILE).read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    return session, decode_manifest((folder / MANIFEST_FILE).read_bytes())


def main() -> None:
    """Measure every batch size, and print the best one."""
    session, manifest = load_shipped_champion()
    rates = {size: _measure_rate(session, _make_inputs(manifest, size)) for size in BATCHES}
    best = max(rates, key=lambda size: rates[size])
    print(json.dumps({"event": "measured", "batch": best, "rate": rates[best]}), flush=True)  # noqa: T201 - the output of this process


if __name__ == "__main__":
    main()
