"""Ratios over scans and their intervals: scans are drawn again, for lesions of one patient resemble each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vision.benchmark.metrics import FEW_VALUES, FEWEST_VALUES

RESAMPLES = 2000
LEVELS = (2.5, 97.5)


@dataclass(frozen=True)
class Estimate:
    """A ratio: `value` of `n` things in `scans` scans, with its 95 % percentile bootstrap interval over the scans.

    None where there is nothing, and no interval for fewer than three scans. An interval without width, as when every
    lesion was found, does not mean certainty: look at `scans`.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    scans: int

    @property
    def is_small(self) -> bool:
        """Whether so few scans stand behind it that the interval understates the uncertainty."""
        return 0 < self.scans < FEW_VALUES


def estimate(above: Sequence[float], below: Sequence[float], *, seed: int = 0) -> Estimate:
    """The sum of `above` over the sum of `below`, one number of each for a scan; scans with 0 below are left out.

    Hits over lesions are a sensitivity, false positives over ones a rate for each scan, sums of Dice over numbers of
    lesions a mean. Only scans that hold such lesions are drawn again, so that no draw is without any.
    Raises ValueError for sequences of different lengths.
    """
    if len(above) != len(below):
        raise ValueError(f"{len(above)} and {len(below)} numbers are not of the same scans")
    numbers = np.array([above, below], dtype=np.float64).reshape(2, -1)
    numbers = numbers[:, numbers[1] > 0]
    scans = numbers.shape[1]
    if scans == 0:
        return Estimate(None, None, None, 0, 0)
    value, n = float(numbers[0].sum() / numbers[1].sum()), round(float(numbers[1].sum()))
    if scans < FEWEST_VALUES:
        return Estimate(value, None, None, n, scans)
    sums = draws(scans, seed=seed) @ numbers.T
    low, high = np.percentile(sums[:, 0] / sums[:, 1], LEVELS)
    return Estimate(value, float(low), float(high), n, scans)


def draws(scans: int, *, seed: int) -> np.ndarray:
    """(RESAMPLES, scans) how often each scan is drawn, as many scans as there are, with replacement (Efron 1979)."""
    counts = np.random.default_rng(seed).multinomial(scans, np.full(scans, 1 / scans), size=RESAMPLES)
    return counts.astype(np.float64)
