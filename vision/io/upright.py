"""A CT whose axes are sheared, as a tilted gantry makes them, on an upright grid: a person must have asked for it."""

from __future__ import annotations

import itertools

import numpy as np

from vision.errors import InputRefused
from vision.geometry import Grid, Notice
from vision.io.hu import AIR_HU
from vision.io.refusal import Limits

LEAST_VOLUME = 0.5
"""Of a voxel against the box of its edges: what is sheared by more than 60 degrees is no CT."""

RESAMPLED = Notice(
    "W_RESAMPLED", "The axes were not perpendicular; the CT was resampled to an upright grid, as chosen."
)


def upright_grid(shape: tuple[int, int, int], affine: np.ndarray, limits: Limits) -> Grid:
    """The grid along the patient's axes that holds a sheared volume, its axes in the same order and direction.

    The spacing is each axis's own advance along the patient, so slices that only slide keep their places.
    Raises InputRefused E_AFFINE for more shear than a gantry makes, E_SIZE for more voxels than the limit.
    """
    columns = affine[:3, :3]
    lengths = np.linalg.norm(columns, axis=0)
    if abs(np.linalg.det(columns / lengths)) < LEAST_VOLUME:
        raise InputRefused("E_AFFINE", "The affine is sheared beyond what a CT is.", "Convert the CT again.")
    order = max(itertools.permutations(range(3)), key=lambda axes: sum(np.abs(columns)[axes, range(3)] / lengths))
    steps = columns[order, range(3)]
    corners = np.array(list(itertools.product(*[(0, n - 1) for n in shape]))) @ columns.T + affine[:3, 3]
    low, high = corners.min(axis=0), corners.max(axis=0)
    along = list(order)
    counts = np.ceil((high - low)[along] / np.abs(steps) - 1e-6) + 1
    if not counts.prod() <= limits.voxels:
        raise InputRefused("E_SIZE", f"Upright it would have {counts.prod():.2g} voxels.", "Crop it to the abdomen.")
    upright = np.eye(4)
    upright[:3, :3] = 0.0
    upright[order, range(3)] = steps
    upright[along, 3] = np.where(steps > 0, low[along], high[along])
    return Grid((int(counts[0]), int(counts[1]), int(counts[2])), upright)


def put_upright(hu: np.ndarray, affine: np.ndarray, grid: Grid) -> np.ndarray:
    """Resample HU (I, J, K) that lie on `affine` to a grid, linearly, air outside; the number type is kept."""
    from scipy.ndimage import affine_transform

    upright = np.empty(grid.shape, dtype=hu.dtype, order="F")
    index_of_index = np.linalg.inv(affine) @ grid.affine
    affine_transform(hu, index_of_index, output=upright, order=1, mode="grid-constant", cval=AIR_HU, prefilter=False)
    return upright
