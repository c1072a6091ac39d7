"""Label maps of any spacing on isotropic voxels: shares in the plane, signed distances between thick slices."""

from __future__ import annotations

import edt
import numpy as np

from vision.geometry import Grid, resample, working_grid

SPACING_MM = 1.5
THICK_MM = 2.2
REACH_MM = 25.0


def to_isotropic(labels: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Bring (I, J, K) uint8 labels in RAS order to 1.5 mm; returns uint8 of the same extent.

    In the plane every voxel goes to the label with the largest share of it. Slices thicker than 2.2 mm are joined by
    interpolating each label's signed distance within the slice, so that shapes do not step.
    """
    thick = spacing_mm[2] > THICK_MM
    source = Grid.from_spacing(labels.shape, spacing_mm)
    target = working_grid(source, SPACING_MM)
    if thick:
        target = Grid.from_spacing(
            (target.shape[0], target.shape[1], labels.shape[2]),
            (target.spacing_mm[0], target.spacing_mm[1], spacing_mm[2]),
            (float(target.affine[0, 3]), float(target.affine[1, 3]), 0.0),
        )
    flat = _largest_share(labels, source, target)
    return _join_slices(flat, target) if thick else flat


def _box(inside: np.ndarray, margin: int) -> tuple[slice, slice, slice]:
    spans = []
    for axis in range(3):
        rest = tuple(other for other in range(3) if other != axis)
        hits = np.flatnonzero(inside.any(axis=rest))
        spans.append(slice(max(0, int(hits[0]) - margin), min(inside.shape[axis], int(hits[-1]) + 1 + margin)))
    return spans[0], spans[1], spans[2]


def _sub_grid(grid: Grid, box: tuple[slice, slice, slice]) -> Grid:
    origin = grid.to_mm(np.array([part.start for part in box]))
    shape = tuple(part.stop - part.start for part in box)
    return Grid.from_spacing(
        (shape[0], shape[1], shape[2]), grid.spacing_mm, (float(origin[0]), float(origin[1]), float(origin[2]))
    )


def _largest_share(labels: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """(I', J', K') uint8: at every target voxel the label of the largest interpolated share, background included."""
    best: np.ndarray = np.zeros(target.shape, dtype=np.float32)
    winner = np.zeros(target.shape, dtype=np.uint8)
    left = np.ones(target.shape, dtype=np.float32)
    ratio = np.asarray(source.spacing_mm) / np.asarray(target.spacing_mm)
    for code in np.unique(labels[labels > 0]):
        inside = labels == code
        box = _box(inside, 3)
        low = [max(0, int(part.start * r) - 2) for part, r in zip(box, ratio, strict=True)]
        high = [min(n, int(np.ceil(part.stop * r)) + 2) for part, r, n in zip(box, ratio, target.shape, strict=True)]
        goal = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
        share = resample(inside[box].astype(np.float32), _sub_grid(source, box), _sub_grid(target, goal))
        left[goal] -= share
        better = share > best[goal]
        best[goal][better] = share[better]
        winner[goal][better] = code
    winner[left > best] = 0
    return winner


def _join_slices(labels: np.ndarray, grid: Grid) -> np.ndarray:
    """Interpolate signed in-slice distances along K to 1.5 mm; a voxel goes to the label it lies deepest in."""
    step = grid.spacing_mm[2]
    count = max(1, round(labels.shape[2] * step / SPACING_MM))
    position = np.clip((np.arange(count) + 0.5) * labels.shape[2] / count - 0.5, 0, labels.shape[2] - 1)
    lower = np.floor(position).astype(int)
    upper = np.minimum(lower + 1, labels.shape[2] - 1)
    weight = (position - lower).astype(np.float32)
    shape = (labels.shape[0], labels.shape[1], count)
    best = np.full(shape, -0.35 * grid.spacing_mm[0], dtype=np.float32)
    winner = np.zeros(shape, dtype=np.uint8)
    far = 1e5
    for code in np.unique(labels[labels > 0]):
        i, j, _ = _box(labels == code, int(REACH_MM / grid.spacing_mm[0]))
        inside = np.asfortranarray(labels[i, j] == code)
        spacing = (grid.spacing_mm[0], grid.spacing_mm[1], far)
        deep = edt.edt(inside, anisotropy=spacing) - edt.edt(~inside, anisotropy=spacing)
        deep = np.clip(deep, -REACH_MM, REACH_MM).astype(np.float32)
        filled = np.any(inside, axis=(0, 1))
        for k in np.flatnonzero(filled[lower] | filled[upper]):
            level = (1 - weight[k]) * deep[:, :, lower[k]] + weight[k] * deep[:, :, upper[k]]
            better = level > best[i, j, k]
            best[i, j, k][better] = level[better]
            winner[i, j, k][better] = code
    return winner
