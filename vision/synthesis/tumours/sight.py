"""What a straight line from a centre reaches inside a room: tumours push outwards and do not flow round corners."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from vision.synthesis.tumours.protocol import Spacing, Voxel

POLAR_STEPS, ROUND_STEPS = 45, 90
SHADOW_STEPS, SMOOTH_STEPS = 5, 1.5
"""Directions are 4 degrees apart; what hides only a few of them, as a vessel does, casts no shadow."""


def seen_from(room: NDArray[np.bool_], spacing: Spacing, centre: Voxel, reach_mm: float) -> NDArray[np.bool_]:
    """The part of the room (I, J, K) that straight lines of `reach_mm` from the centre reach, with smooth borders."""
    ends = _ends_mm(room, spacing, centre, reach_mm)
    x, y, z = (
        (np.arange(count, dtype=np.float32) - at) * np.float32(step)
        for count, at, step in zip(room.shape, centre, spacing, strict=True)
    )
    near = room & (np.square(x)[:, None, None] + np.square(y)[:, None] + np.square(z) <= reach_mm**2)
    i, j, k = np.nonzero(near)
    distance = np.sqrt(np.square(x[i]) + np.square(y[j]) + np.square(z[k]))
    row = np.arccos(z[k] / np.maximum(distance, 1e-6)) * (POLAR_STEPS / math.pi) - 0.5
    column = np.arctan2(y[j], x[i]) % (2 * math.pi) * (ROUND_STEPS / (2 * math.pi))
    end = ndimage.map_coordinates(np.pad(ends, ((0, 0), (0, 1)), mode="wrap"), [row, column], order=1, mode="nearest")
    # A voxel more, so that smoothing leaves no shell of the organ between the tumour and the organ's border.
    near[i, j, k] = distance <= end + sorted(spacing)[1]
    return near


def _ends_mm(room: NDArray[np.bool_], spacing: Spacing, centre: Voxel, reach_mm: float) -> NDArray[np.float32]:
    """(polar, round) float32: how far the room goes on in each direction, at most about `reach_mm`."""
    polar = ((np.arange(POLAR_STEPS) + 0.5) * math.pi / POLAR_STEPS)[:, None, None]
    turn = (np.arange(ROUND_STEPS) * 2 * math.pi / ROUND_STEPS)[:, None]
    step = 0.7 * min(spacing)
    lengths = np.arange(1, math.ceil(reach_mm / step) + 2) * step
    lines = np.broadcast_arrays(
        centre[0] + np.sin(polar) * np.cos(turn) * lengths / spacing[0],
        centre[1] + np.sin(polar) * np.sin(turn) * lengths / spacing[1],
        centre[2] + np.cos(polar) * lengths / spacing[2],
    )
    free = ndimage.map_coordinates(room.astype(np.uint8), lines, order=0, mode="constant") > 0
    ends = np.where(free.all(axis=2), lengths[-1], lengths[np.argmin(free, axis=2)]).astype(np.float32)
    margin = 2 * SHADOW_STEPS
    padded = np.pad(np.pad(ends, ((0, 0), (margin, margin)), mode="wrap"), ((margin, margin), (0, 0)), mode="edge")
    smooth = ndimage.gaussian_filter(ndimage.median_filter(padded, SHADOW_STEPS), SMOOTH_STEPS)
    inner: NDArray[np.float32] = smooth[margin:-margin, margin:-margin]
    return inner
