"""The split of the rows into training, calibration and held-out rows. Each row is in exactly one of these."""

from dataclasses import dataclass

import numpy as np

from services.trainer.datasets.priced_rows import Floats, Mask

HELD_OUT = 0.2
CALIBRATION = 0.1
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Split:
    train: Mask
    calibration: Mask
    held_out: Mask


def split_rows(share: Floats) -> Split:
    """Split by the hash of each row alone, so that every version and seed has the same held-out rows."""
    held_out = share < HELD_OUT
    calibration = ~held_out & (share < HELD_OUT + CALIBRATION)
    return Split(train=~held_out & ~calibration, calibration=calibration, held_out=held_out)


def assign_folds(share: Floats) -> Floats:
    """Assign each row a fold from 0 to FOLDS - 1. Copies of a row have the same hash, so the same fold."""
    return np.floor(share * 1e6) % FOLDS
