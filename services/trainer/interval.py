"""The normalised conformal interval: log price plus or minus a calibrated multiple of the spread."""

import math

import numpy as np

from services.trainer.datasets.priced_rows import Floats


def calibrate(error: Floats, log_spread: Floats, coverage: float) -> float:
    """Return the log of the calibrated factor: the interval is the log price ± factor · spread.

    With this factor, `coverage` of new rows fall inside the interval. `error` is the error of the log price
    on rows that were not used for training. The method is split conformal prediction: the factor is the
    ceil((n + 1)·coverage)-th smallest of |error| / spread (Lei et al. 2018, section 5.2, normalised score).
    Raises ValueError if there are too few rows for this coverage.
    """
    scores = np.sort(np.abs(error) / np.exp(log_spread))
    rank = math.ceil((len(scores) + 1) * coverage)
    if rank > len(scores):
        raise ValueError(f"{len(scores)} rows are too few to calibrate a coverage of {coverage}")
    return float(np.log(scores[rank - 1]))
