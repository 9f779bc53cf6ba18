"""Checks the fields of predictions: amounts in order, and the time of the reading that was priced (pure)."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from services.cli.verify.fleet_record import FleetRecord
from services.cli.verify.keys import Ints, to_ints
from shared.contract.prediction import Prediction

_AMOUNTS = ("lower", "price", "upper")


class Prices:
    """The faults of the fields of predictions, counted by the file or hub that holds them."""

    def __init__(self) -> None:
        self._disordered: Counter[str] = Counter()
        self._mistimed: Counter[str] = Counter()

    def check(self, source: str, batch: pa.RecordBatch, keys: Ints, record: FleetRecord) -> None:
        """Check the rows of a file that `source` names."""
        if set(_AMOUNTS) <= set(batch.schema.names):
            lower, price, upper = (batch[name].to_numpy(zero_copy_only=False) for name in _AMOUNTS)
            # A comparison with NaN is false, and no infinite amount is below the largest float.
            is_sound = (lower >= 0) & (lower <= price) & (price <= upper) & (upper < np.inf)
            self._disordered[source] += int(np.count_nonzero(~is_sound))
        self._check_times(source, keys, to_ints(batch["reading_at"]), record)

    def check_one(self, hub: str, prediction: Prediction) -> None:
        """Check a prediction of a hub."""
        if not 0 <= prediction.lower <= prediction.price <= prediction.upper < np.inf:
            self._disordered[hub] += 1

    def faults(self) -> Iterator[str]:
        """Yield a sentence for each file or hub with a fault."""
        for source, rows in sorted((+self._disordered).items()):
            yield f"{source}: {rows} predictions have no lower <= price <= upper"
        for source, rows in sorted((+self._mistimed).items()):
            yield f"{source}: {rows} predictions have another reading_at than the reading that was sent"

    def _check_times(self, source: str, keys: Ints, instants: Ints, record: FleetRecord) -> None:
        sent_at, is_known = record.find_instants(keys)
        self._mistimed[source] += int(np.count_nonzero(is_known & (sent_at != instants)))
