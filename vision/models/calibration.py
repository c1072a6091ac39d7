"""Calibration: from the mean probability inside a mask to the confidence that is shown."""

from __future__ import annotations

import math

Line = tuple[float, float]
"""Slope and intercept on the logit of a score."""

IDENTITY: Line = (1.0, 0.0)
CLOSEST = 1e-4
"""Scores are kept this far from 0 and 1, where a logit is infinite."""


def calibrate(score: float, line: Line) -> float:
    """sigmoid(slope * logit(score) + intercept) after Platt (1999); the identity line leaves a score as it is."""
    if line == IDENTITY:
        return score
    kept = min(max(score, CLOSEST), 1 - CLOSEST)
    slope, intercept = line
    return 1 / (1 + math.exp(-(slope * math.log(kept / (1 - kept)) + intercept)))
