"""The normalised conformal interval: log price plus or minus a calibrated multiple of the spread."""

import math

import numpy as np

from services.trainer.datasets.used_cars import Floats


def calibrate(error: Floats, log_spread: Floats, coverage: float) -> float:
    """The log of the factor by which the spread must be multiplied for `coverage` of new rows to fall inside.

    `error` of log price on rows that taught nothing. Split conformal: the ceil((n + 1)·coverage)-th smallest
    of |error| / spread (Lei et al. 2018, section 5.2, for the normalised score).
    """
    scores = np.sort(np.abs(error) / np.exp(log_spread))
    rank = math.ceil((len(scores) + 1) * coverage)
    if rank > len(scores):
        raise ValueError(f"{len(scores)} rows are too few to calibrate a coverage of {coverage}")
    return float(np.log(scores[rank - 1]))
