"""Resampling between grids of one patient frame that differ in order, direction, spacing and extent of their axes.

Separable: one small matrix per axis, so a whole abdomen takes well under a second in numpy. Tilted (oblique) grids
stay tilted; nothing is ever interpolated across their tilt.
"""

from __future__ import annotations

import numpy as np

from vision.geometry.grid import Grid, reorient_array, restore_array


def working_grid(grid: Grid, spacing_mm: float) -> Grid:
    """A near-isotropic grid, axes in RAS order, that covers the same box of the patient as `grid`.

    The spacing is `spacing_mm` up to the rounding of the extent to whole voxels.
    """
    turned, _, _ = grid.reoriented("RAS")
    spacing = np.asarray(turned.spacing_mm)
    extent = np.asarray(turned.shape) * spacing
    shape = np.maximum(1, np.round(extent / spacing_mm)).astype(int)
    step = extent / shape
    affine = np.eye(4)
    affine[:3, :3] = turned.directions * step
    affine[:3, 3] = turned.to_mm(step / spacing / 2 - 0.5)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def cropped_grid(grid: Grid, start: tuple[int, int, int], stop: tuple[int, int, int]) -> Grid:
    """The part start <= index < stop of a grid, as a grid of its own."""
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_mm(np.asarray(start))
    shape = tuple(b - a for a, b in zip(start, stop, strict=True))
    return Grid((shape[0], shape[1], shape[2]), affine)


def interpolation_matrix(positions: np.ndarray, count: int, width: float) -> np.ndarray:
    """Weights (P, count) float32 that interpolate `count` samples at fractional `positions` (P,).

    A triangle of half-width `width` samples: 1 is linear interpolation, more averages for down-sampling.
    Positions outside take the nearest sample.
    """
    inside = np.clip(positions, 0, count - 1)
    distance = np.abs(inside[:, None] - np.arange(count)[None, :])
    weights = np.maximum(0.0, 1.0 - distance / max(width, 1.0))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def resample(values: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """Interpolate (I, J, K) `values` on `source` at the voxels of `target`, as float32.

    Linear where the target is finer, area-weighted where it is coarser. Raises ValueError when the axes of the two
    grids do not run along the same lines.
    """
    if values.shape != source.shape:
        raise ValueError(f"values of shape {values.shape} do not lie on {source}")
    turned, order, signs = source.reoriented("RAS")
    goal, goal_order, goal_signs = target.reoriented("RAS")
    if np.abs(turned.directions - goal.directions).max() > 1e-4:
        raise ValueError(f"{source} and {target} are tilted against each other")
    first = turned.to_ijk(goal.affine[:3, 3])
    step = np.asarray(goal.spacing_mm) / np.asarray(turned.spacing_mm)
    result = reorient_array(values, order, signs)
    axes = sorted(range(3), key=lambda a: goal.shape[a] / turned.shape[a])
    for axis in axes:
        positions = first[axis] + step[axis] * np.arange(goal.shape[axis])
        matrix = interpolation_matrix(positions, turned.shape[axis], float(step[axis]))
        result = _apply(matrix, result, axis)
    return np.ascontiguousarray(restore_array(result, goal_order, goal_signs))


def _apply(matrix: np.ndarray, values: np.ndarray, axis: int) -> np.ndarray:
    """Multiply one axis of (I, J, K) values by a matrix, reading only the samples that carry weight."""
    used = np.flatnonzero(matrix.any(axis=0))
    low, high = int(used[0]), int(used[-1]) + 1
    span = [slice(None)] * 3
    span[axis] = slice(low, high)
    part = values[tuple(span)].astype(np.float32, copy=False)
    moved = np.tensordot(matrix[:, low:high], part, axes=(1, axis))
    return np.moveaxis(moved, 0, axis)
