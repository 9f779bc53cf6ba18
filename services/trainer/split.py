"""The split of the rows: training, calibration and held-out rows, which share no row."""

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
    """Split by the hash of the row alone, so that held-out rows are the same for every version and seed."""
    held_out = share < HELD_OUT
    calibration = ~held_out & (share < HELD_OUT + CALIBRATION)
    return Split(train=~held_out & ~calibration, calibration=calibration, held_out=held_out)


def assign_folds(share: Floats) -> Floats:
    """Assign each row a fold 0 … FOLDS - 1; a masked copy gets the fold of its original."""
    return np.floor(share * 1e6) % FOLDS
