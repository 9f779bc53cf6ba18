"""Which rows teach, which calibrate and which judge: three parts that share no row."""

from dataclasses import dataclass

import numpy as np

from services.trainer.datasets.used_cars import Floats, Mask

HELD_OUT = 0.2
CALIBRATION = 0.1
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Parts:
    train: Mask
    calibration: Mask
    held_out: Mask


def divide(share: Floats) -> Parts:
    """By the hash of the row alone, so that the held-out rows stay the same for every version and seed."""
    held_out = share < HELD_OUT
    calibration = ~held_out & (share < HELD_OUT + CALIBRATION)
    return Parts(train=~held_out & ~calibration, calibration=calibration, held_out=held_out)


def folds(share: Floats) -> Floats:
    """The fold 0 … FOLDS - 1 of each row; a masked copy falls into the fold of its original."""
    return np.floor(share * 1e6) % FOLDS
