"""Blending: a tumour's change of HU, faded at its border against the organ, without touching anything else."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from vision.synthesis.tumours.protocol import Spacing

VOXEL_SD = math.sqrt(1 / 12)
"""SD of a uniform distribution one voxel wide: what averaging over a voxel adds to every border."""
TRUNCATE = 3.0
FAINT = 0.01
CLIPPED_SHARE = 1e-3


def border_weight(mask: NDArray[np.bool_], spacing: Spacing, *, edge_mm: float) -> NDArray[np.float32]:
    """(I, J, K) float32 in 0..1: the mask blurred by `edge_mm` and a voxel, exactly 0 farther than 3 SD from it."""
    sigma = [math.hypot(edge_mm / step, VOXEL_SD) for step in spacing]
    blurred = ndimage.gaussian_filter(mask.astype(np.float32), sigma, truncate=TRUNCATE, mode="nearest")
    blurred[blurred < FAINT] = 0
    return np.minimum(blurred, 1.0, out=blurred)


def border_weight_within(
    mask: NDArray[np.bool_], organ: NDArray[np.bool_], spacing: Spacing, *, edge_mm: float
) -> NDArray[np.float32]:
    """As `border_weight`, but 0 outside the organ, and the tumour fades against the organ, not at the organ's border.

    The blur is normalised by that of the organ.
    """
    around = border_weight(organ, spacing, edge_mm=edge_mm)
    weight = np.zeros(mask.shape, dtype=np.float32)
    np.divide(border_weight(mask, spacing, edge_mm=edge_mm), around, out=weight, where=organ & (around > FAINT))
    return np.minimum(weight, 1.0, out=weight)


def stored_range(ct: NDArray[Any]) -> tuple[float, float]:
    """The range that added values must stay in: that of the dtype, and where the CT was clipped, its own.

    An end counts as clipped when a thousandth of the voxels lie exactly on it.
    """
    low, high = (-math.inf, math.inf)
    if np.issubdtype(ct.dtype, np.integer):
        info = np.iinfo(ct.dtype)
        low, high = float(info.min), float(info.max)
    lowest, highest = ct.min(), ct.max()
    if np.count_nonzero(ct == lowest) >= CLIPPED_SHARE * ct.size:
        low = float(lowest)
    if np.count_nonzero(ct == highest) >= CLIPPED_SHARE * ct.size:
        high = float(highest)
    return low, high


def add_change(
    ct: NDArray[Any], weight: NDArray[np.float32], change: NDArray[np.float32], limits: tuple[float, float]
) -> NDArray[Any]:
    """`ct` plus `weight` times `change`, in its dtype and in `limits`; untouched where the weight is 0."""
    touched = weight > 0
    hu = ct[touched].astype(np.float32) + weight[touched] * change[touched]
    if np.issubdtype(ct.dtype, np.integer):
        hu = np.rint(hu)
    painted = ct.copy()
    painted[touched] = np.clip(hu, *limits).astype(ct.dtype)
    return painted
