"""Between a CT's own grid and the network's: HU onto working grids, probabilities back as masks.

Separable and block by block along the axis that lies slowest in memory, so that a large CT is read once and never
copied whole. Down-sampling is sparse but for the last axis.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_matrix

from vision.geometry import CTVolume, Grid, cropped_grid, reorient_array
from vision.geometry.resample import interpolation_matrix

BLOCK_ROWS = 16
"""Rows of the result along the slowest axis that are made at a time."""


def halved(grid: Grid) -> Grid:
    """The grid of the same box with voxels of half the size."""
    affine = grid.affine.copy()
    affine[:3, :3] /= 2
    affine[:3, 3] = grid.to_mm(np.full(3, -0.25))
    return Grid((2 * grid.shape[0], 2 * grid.shape[1], 2 * grid.shape[2]), affine)


def sample_hu(ct: CTVolume, grid: Grid, *, window_hu: tuple[float, float]) -> np.ndarray:
    """(I, J, K) float32 HU at the voxels of `grid`, whose axes are in RAS order, clipped to the window beforehand.

    Clipped first, so that a CT whose source had cut off air and bone gives the very values that a whole one gives.
    """
    return _sampled(ct, grid, grid.shape, window_hu, pool=1)


def sample_pooled_hu(ct: CTVolume, grid: Grid, *, window_hu: tuple[float, float]) -> np.ndarray:
    """As `sample_hu`, each value the mean over the eight voxels of `halved(grid)` that fill the voxel.

    This is how training makes its wide view of a near one.
    """
    return _sampled(ct, halved(grid), grid.shape, window_hu, pool=2)


def mask_on(probability: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """(I, J, K) bool on `target`: where the `probability` on `source`, in RAS order, is at least one half.

    Only the voxels of `target` within the volume of `source` are looked at.
    """
    low, high = overlap_box(source, target)
    goal, order, signs = cropped_grid(target, low, high).reoriented("RAS")
    voxels = np.zeros(target.shape, dtype=bool)
    view = reorient_array(voxels[low[0] : high[0], low[1] : high[1], low[2] : high[2]], order, signs)
    matrices = [csr_matrix(matrix) for matrix in _axis_weights(source, goal)]
    for window, block in _blocks(probability, matrices, (0.0, 1.0)):
        view[window] = block >= 0.5
    return voxels


def overlap_box(source: Grid, target: Grid) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """The half-open voxels of `target` whose centres lie within the volume of `source`, at least one."""
    corners = np.stack(np.meshgrid(*[(-0.5, n - 0.5) for n in source.shape]), -1).reshape(-1, 3)
    reached = target.to_ijk(source.to_mm(corners))
    low = np.clip(np.ceil(reached.min(axis=0) - 1e-6).astype(int), 0, np.asarray(target.shape) - 1)
    high = np.clip(np.floor(reached.max(axis=0) + 1e-6).astype(int) + 1, low + 1, target.shape)
    return (int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2]))


def _sampled(
    ct: CTVolume, grid: Grid, shape: tuple[int, int, int], window_hu: tuple[float, float], *, pool: int
) -> np.ndarray:
    turned, order, signs = ct.grid.reoriented("RAS")
    view = reorient_array(ct.hu, order, signs)
    weights = [
        matrix.reshape(-1, pool, matrix.shape[1]).mean(axis=1) if pool > 1 else matrix
        for matrix in _axis_weights(turned, grid)
    ]
    used = [np.flatnonzero(matrix.any(axis=0)) for matrix in weights]
    spans = [slice(int(columns[0]), int(columns[-1]) + 1) for columns in used]
    matrices = [csr_matrix(matrix[:, span]) for matrix, span in zip(weights, spans, strict=True)]
    hu = np.empty(shape, dtype=np.float32)
    for window, block in _blocks(view[tuple(spans)], matrices, window_hu):
        hu[window] = block
    return hu


def _axis_weights(source: Grid, goal: Grid) -> list[np.ndarray]:
    """Per axis (goal voxels, source voxels) float32; both grids in RAS order along the same lines."""
    if np.abs(source.directions - goal.directions).max() > 1e-4:
        raise ValueError(f"{source} and {goal} are tilted against each other")
    first = source.to_ijk(goal.affine[:3, 3])
    step = np.asarray(goal.spacing_mm) / np.asarray(source.spacing_mm)
    return [
        interpolation_matrix(first[axis] + step[axis] * np.arange(goal.shape[axis]), source.shape[axis], step[axis])
        for axis in range(3)
    ]


def _blocks(
    values: np.ndarray, matrices: list[csr_matrix], clip: tuple[float, float]
) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
    """Where in the result, and the result there, float32, of one matrix per axis on (I, J, K) clipped values."""
    slow, middle, fast = sorted(range(3), key=lambda axis: -abs(values.strides[axis]))
    arranged = values.transpose(slow, middle, fast)
    low, high = (values.dtype.type(edge) for edge in clip)
    last = np.ascontiguousarray(matrices[fast].toarray().T)
    back = tuple(int(axis) for axis in np.argsort((slow, middle, fast)))
    for start in range(0, matrices[slow].shape[0], BLOCK_ROWS):
        rows = matrices[slow][start : start + BLOCK_ROWS]
        first, stop = int(rows.indices.min()), int(rows.indices.max()) + 1
        part = np.clip(arranged[first:stop], low, high).astype(np.float32, order="C", copy=False)
        part = np.ascontiguousarray(part).reshape(stop - first, -1)
        mixed = (rows[:, first:stop] @ part).reshape(rows.shape[0], *arranged.shape[1:])
        planes = np.stack([matrices[middle] @ plane for plane in mixed]) @ last
        window = [slice(None)] * 3
        window[slow] = slice(start, start + rows.shape[0])
        yield tuple(window), planes.transpose(back)
