"""How well two masks agree, and how sure a mean of few cases is. Pure functions on masks of one grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vision.geometry import Mask
from vision.measure import volume_ml

TOLERANCE_MM = 2.0
"""The usual tolerance of surface Dice for abdominal organs."""
RESAMPLES = 9999
FEW_VALUES = 10
"""Below this number of cases a bootstrap interval is too narrow to lean on."""
FEWEST_VALUES = 3
"""Below this number there is no interval: one of two values would just be the two."""


@dataclass(frozen=True)
class Interval:
    """Mean and median of n values, and the 95 % interval of the mean; None where there is none.

    With fewer than `FEWEST_VALUES` there is no interval, and `values` holds the single values instead.
    """

    mean: float | None
    median: float | None
    low: float | None
    high: float | None
    n: int
    values: tuple[float, ...] = ()

    @property
    def is_small(self) -> bool:
        """Whether so few values stand behind it that the interval understates the uncertainty."""
        return self.n < FEW_VALUES


def dice(a: Mask, b: Mask) -> float:
    """Twice the common voxels over the sum of both, in [0, 1] (Dice 1945).

    NaN when both are empty: nothing was there and nothing was claimed, so there is nothing to average. 0 when one is.
    Raises ValueError for masks on different grids.
    """
    a.require_grid(b.grid)
    total = a.count + b.count
    if total == 0:
        return math.nan
    return 2.0 * int(np.count_nonzero(a.voxels & b.voxels)) / total


def surface_dice(a: Mask, b: Mask, tolerance_mm: float = TOLERANCE_MM) -> float:
    """Share of both surfaces that lies within a tolerance of the other one, in [0, 1] (Nikolov et al. 2018, 2.4).

    The surface of a mask is every voxel face between inside and outside, weighted by its area in mm2, so anisotropic
    voxels count as what they are; distances run between face centres in mm. Where the scan range cuts a structure there
    is no surface. NaN when neither mask has one, 0 when only one has.
    Raises ValueError for masks on different grids or a tolerance below 0.
    """
    a.require_grid(b.grid)
    if not tolerance_mm >= 0:
        raise ValueError(f"a tolerance is at least 0 mm, got {tolerance_mm}")
    a_centres, a_areas = _faces(a)
    b_centres, b_areas = _faces(b)
    total = a_areas.sum() + b_areas.sum()
    if total == 0:
        return math.nan
    if not (a_areas.size and b_areas.size):
        return 0.0
    near = a_areas[_within(a_centres, b_centres, tolerance_mm)].sum()
    near += b_areas[_within(b_centres, a_centres, tolerance_mm)].sum()
    return float(near / total)


def volume_error(predicted: Mask, reference: Mask) -> float:
    """Predicted minus reference volume, in % of the reference; NaN when the reference is empty.

    Raises ValueError for masks on different grids.
    """
    predicted.require_grid(reference.grid)
    true_ml = volume_ml(reference)
    if true_ml == 0:
        return math.nan
    return 100.0 * (volume_ml(predicted) - true_ml) / true_ml


def bootstrap_interval(values: Sequence[float], seed: int = 0) -> Interval:
    """Mean, median and 95 % percentile bootstrap interval of the mean; NaN values are left out and do not count.

    With n below `FEW_VALUES` the interval is too narrow: `is_small` says so.
    """
    kept = np.array([value for value in values if not math.isnan(value)], dtype=np.float64)
    if kept.size == 0:
        return Interval(None, None, None, None, 0)
    mean, median = float(kept.mean()), float(np.median(kept))
    if kept.size < FEWEST_VALUES:
        return Interval(mean, median, None, None, int(kept.size), tuple(kept.tolist()))
    from scipy.stats import bootstrap

    drawn = bootstrap((kept,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(seed))
    low, high = drawn.confidence_interval
    return Interval(mean, median, float(low), float(high), int(kept.size))


def _faces(mask: Mask) -> tuple[np.ndarray, np.ndarray]:
    """Centres (N, 3) in mm along the index axes and areas (N,) in mm2 of the faces between inside and outside."""
    if mask.box is None:
        return np.empty((0, 3)), np.empty(0)
    spacing = np.asarray(mask.grid.spacing_mm)
    start = np.maximum(np.asarray(mask.box.start) - 1, 0)
    stop = np.minimum(np.asarray(mask.box.stop) + 1, mask.grid.shape)
    voxels = mask.voxels[tuple(slice(low, high) for low, high in zip(start, stop, strict=True))]
    centres, areas = [], []
    for axis in range(3):
        faces = np.argwhere(np.diff(voxels, axis=axis)) + start + 0.5 * (np.arange(3) == axis)
        centres.append(faces * spacing)
        areas.append(np.full(len(faces), np.prod(np.delete(spacing, axis))))
    return np.concatenate(centres), np.concatenate(areas)


def _within(points: np.ndarray, others: np.ndarray, tolerance_mm: float) -> np.ndarray:
    """(N,) bool: whether each point has one of the others within the tolerance, the tolerance itself included."""
    from scipy.spatial import cKDTree

    distances, _ = cKDTree(others).query(points, distance_upper_bound=tolerance_mm + 1e-6)
    return np.isfinite(distances)
