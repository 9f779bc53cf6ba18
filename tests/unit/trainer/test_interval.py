import numpy as np
import pytest

from services.trainer.interval import calibrate


def test_coverage_on_new_rows():
    """An interval calibrated to 90 % covers 90 % of new rows, in the noisy half and in the quiet half."""
    rng = np.random.default_rng(2)
    noise = np.where(np.arange(40_000) % 2, 0.3, 0.05)
    error = rng.laplace(0, noise)
    spread = np.log(noise) + 0.7  # off by a constant factor, which calibration corrects
    factor = calibrate(error[:20_000], spread[:20_000], 0.9)
    inside = np.abs(error[20_000:]) <= np.exp(spread[20_000:] + factor)
    assert inside[::2].mean() == pytest.approx(0.9, abs=0.01)
    assert inside[1::2].mean() == pytest.approx(0.9, abs=0.01)


def test_rank_counts_the_row_to_come():
    """With nine calibration rows a 90 % interval uses the largest error; with eight it is refused."""
    error = np.arange(1.0, 10.0)
    assert np.exp(calibrate(error, np.zeros(9), 0.9)) == pytest.approx(9.0)
    with pytest.raises(ValueError, match="too few to calibrate"):
        calibrate(error[:8], np.zeros(8), 0.9)
