"""Turn a mask's score into the Dice to expect of it: logistic scaling of the score's logit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vision.errors import UsageError
from vision.models.calibration import CLOSEST

FEWEST_MASKS = 3


def fit_calibration(scores: Sequence[float], dice: Sequence[float]) -> tuple[float, float]:
    """Slope and intercept a, b of sigmoid(a * logit(score) + b) that predict Dice best, by cross-entropy.

    `vision.models.calibration.calibrate` applies them.

    Platt (1999) with Dice in [0, 1] in the place of classes. As his targets, n values of Dice are moved towards a half
    as by one hit and one miss, so that the optimum is finite. Slope 1 and intercept 0 leave a score as it is.
    Raises ValueError for values outside [0, 1] or of different numbers, UsageError E_CALIBRATION for fewer than three
    masks or scores that are all the same.
    """
    given, observed = np.asarray(scores, dtype=np.float64), np.asarray(dice, dtype=np.float64)
    if given.shape != observed.shape or given.ndim != 1:
        raise ValueError(f"a Dice for each score, got {given.shape} and {observed.shape}")
    if not all(((values >= 0) & (values <= 1)).all() for values in (given, observed)):
        raise ValueError("scores and Dice lie in [0, 1]")
    if given.size < FEWEST_MASKS or np.ptp(given) == 0:
        raise UsageError(
            "E_CALIBRATION",
            f"{given.size} masks with {np.unique(given).size} different scores are too few to fit a calibration.",
            f"Give at least {FEWEST_MASKS} masks with different scores.",
        )
    from scipy.optimize import minimize

    logits = _logit(given)
    targets = (given.size * observed + 1) / (given.size + 2)

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        value = line[0] * logits + line[1]
        error = 1 / (1 + np.exp(-value)) - targets
        return float(np.mean(np.logaddexp(0, value) - targets * value)), np.array(
            [np.mean(error * logits), np.mean(error)]
        )

    slope, intercept = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS").x
    return float(slope), float(intercept)


def _logit(scores: np.ndarray) -> np.ndarray:
    kept = np.clip(scores, CLOSEST, 1 - CLOSEST)
    return np.log(kept / (1 - kept))
