"""Contact: how far apart two structures are, and how far a lesion surrounds a vessel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vision.geometry import Box, Mask
from vision.measure.size import axial_spacing_mm

DIRECTIONS = 360
SAMPLE_STEP = 50


@dataclass(frozen=True)
class Contact:
    """How a lesion touches a vessel's wall.

    `degrees` is the largest circumferential contact in an axial slice, 0 to 360, on `slice_index` (None without
    contact). `share` is the part of the vessel's wall in all its slices that is touched, in [0, 1]. `length_mm` is the
    craniocaudal length of the slices with contact.
    """

    degrees: float
    share: float
    length_mm: float
    slice_index: int | None


def distance_mm(a: Mask, b: Mask) -> float:
    """Smallest distance in mm between the surfaces of two masks; 0 when they touch or overlap.

    Exact between voxels taken as boxes, so voxels that share a corner are 0 mm apart: between smooth surfaces it is too
    small by at most one voxel diagonal. Raises ValueError for an empty mask and for masks on different grids.
    """
    b.require_grid(a.grid)
    if a.box is None or b.box is None:
        empty = a if a.box is None else b
        raise ValueError(f"a distance has two ends, the mask of {empty.structure} is empty")
    # A box of one voxel around every voxel of b turns the distance between voxel faces into one between centres.
    own, other = a.voxels[a.box.slices], _grown(_placed(b, *_window(b.box)))
    own_start, other_start = np.asarray(a.box.start), _window(b.box)[0]
    if _overlap(own, own_start, other, other_start):
        return 0.0
    spacing = np.asarray(a.grid.spacing_mm)
    return _nearest_mm(
        (np.argwhere(_surface(own)) + own_start) * spacing, (np.argwhere(_surface(other)) + other_start) * spacing
    )


def contact(lesion: Mask, vessel: Mask) -> Contact:
    """Measure how many degrees of a vessel's circumference a lesion touches; zeros when they do not touch.

    In every axial slice, for every separate section of the vessel: each of 360 directions from the section's centroid
    belongs to the wall pixel (a pixel with one of its four neighbours outside) nearest in angle; a direction is in
    contact when that wall pixel lies in the lesion or shares a side with one of its pixels. The largest count
    is the result, to be read against the 180 degrees that divide abutment from encasement (Al-Hawary et al., Radiology
    2014;270:248). It is the circumference in the axial plane: where a vessel runs within that plane (splenic vein,
    celiac branches) it is not the circumference across the vessel. Raises ValueError for masks on different grids.
    """
    lesion.require_grid(vessel.grid)
    if lesion.box is None or vessel.box is None:
        return Contact(0.0, 0.0, 0.0, None)
    import cc3d

    up = vessel.grid.axis_of(2)
    plane = [axis for axis in range(3) if axis != up]
    spacing = np.asarray(vessel.grid.spacing_mm)[plane]
    start, shape = _window(vessel.box)
    sections = np.moveaxis(_placed(vessel, start, shape), up, 0)
    touching = np.moveaxis(_placed(lesion, start, shape), up, 0)
    best, best_slice, touched, wall_pixels, slices = 0.0, None, 0, 0, 0
    for index, section in enumerate(sections):
        if not section.any():
            continue
        wall = _surface(section)
        near = wall & _beside(touching[index])
        wall_pixels += int(wall.sum())
        touched += int(near.sum())
        if not near.any():
            continue
        slices += 1
        labels = cc3d.connected_components(section.copy(), connectivity=8)
        for label in np.unique(labels[near]):
            degrees = _degrees(labels == label, wall, near, spacing)
            if degrees > best:
                best, best_slice = degrees, index + int(start[up])
    return Contact(best, touched / wall_pixels, slices * axial_spacing_mm(vessel.grid), best_slice)


def _nearest_mm(points: np.ndarray, targets: np.ndarray) -> float:
    """Smallest distance between (n, 3) and (m, 3) points in mm; what a first sample rules out is not searched."""
    from scipy.spatial import cKDTree

    bound = float(cKDTree(targets[::SAMPLE_STEP]).query(points[::SAMPLE_STEP])[0].min()) + 1e-6
    points = points[((points >= targets.min(axis=0) - bound) & (points <= targets.max(axis=0) + bound)).all(axis=1)]
    targets = targets[((targets >= points.min(axis=0) - bound) & (targets <= points.max(axis=0) + bound)).all(axis=1)]
    if len(points) > len(targets):
        points, targets = targets, points
    return float(cKDTree(targets).query(points)[0].min())


def _overlap(a: np.ndarray, a_start: np.ndarray, b: np.ndarray, b_start: np.ndarray) -> bool:
    """Whether two crops, each at its start in a common grid, have a voxel in common."""
    low = np.maximum(a_start, b_start)
    high = np.minimum(a_start + a.shape, b_start + b.shape)
    if (low >= high).any():
        return False
    in_a, in_b = (
        tuple(slice(i, j) for i, j in zip(low - start, high - start, strict=True)) for start in (a_start, b_start)
    )
    return bool((a[in_a] & b[in_b]).any())


def _window(box: Box) -> tuple[np.ndarray, tuple[int, ...]]:
    """Start and shape of a box with one voxel more on every side; it may leave the grid."""
    start = np.asarray(box.start) - 1
    return start, tuple((np.asarray(box.stop) + 1 - start).tolist())


def _degrees(section: np.ndarray, wall: np.ndarray, near: np.ndarray, spacing: np.ndarray) -> float:
    """Degrees of one vessel section (A, B) whose nearest wall pixel in angle is `near` the lesion."""
    offset = (np.argwhere(section & wall) - np.argwhere(section).mean(axis=0)) * spacing
    hit = near[section & wall]
    angles = np.arctan2(offset[:, 1], offset[:, 0])
    rays = (np.arange(DIRECTIONS) + 0.5) * 2 * np.pi / DIRECTIONS - np.pi
    apart = np.abs((rays[:, None] - angles[None, :] + np.pi) % (2 * np.pi) - np.pi)
    return float(np.count_nonzero(hit[apart.argmin(axis=1)])) * 360.0 / DIRECTIONS


def _placed(mask: Mask, start: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The part of a mask in the box of `shape` at `start`, False where the box leaves the grid."""
    stop = start + np.asarray(shape)
    low, high = np.maximum(start, 0), np.minimum(stop, mask.grid.shape)
    part = np.zeros(shape, dtype=bool)
    target = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
    part[target] = mask.voxels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return part


def _grown(voxels: np.ndarray) -> np.ndarray:
    """Voxels and all their neighbours by side, edge or corner."""
    grown = voxels.copy()
    for axis in range(voxels.ndim):
        before = np.moveaxis(grown.copy(), axis, 0)
        view = np.moveaxis(grown, axis, 0)
        view[1:] |= before[:-1]
        view[:-1] |= before[1:]
    return grown


def _beside(section: np.ndarray) -> np.ndarray:
    """Pixels of an (A, B) section and their neighbours by side."""
    beside = section.copy()
    beside[1:] |= section[:-1]
    beside[:-1] |= section[1:]
    beside[:, 1:] |= section[:, :-1]
    beside[:, :-1] |= section[:, 1:]
    return beside


def _surface(voxels: np.ndarray) -> np.ndarray:
    """Voxels with a neighbour by side that is outside; beyond the array is outside."""
    inner = voxels.copy()
    for axis in range(voxels.ndim):
        own, view = np.moveaxis(voxels, axis, 0), np.moveaxis(inner, axis, 0)
        view[1:] &= own[:-1]
        view[:-1] &= own[1:]
        view[0] = False
        view[-1] = False
    return voxels & ~inner
