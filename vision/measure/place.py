"""Place: where a structure lies in the patient and on which slices."""

from __future__ import annotations

from typing import Literal

import numpy as np

from vision.geometry import Mask

Side = Literal["left", "right"]


def centroid_mm(mask: Mask) -> tuple[float, float, float] | None:
    """Centre of gravity in RAS+ mm; None when empty. It may lie outside a curved structure."""
    box = mask.box
    if box is None:
        return None
    voxels = mask.voxels[box.slices]
    centre = []
    for axis, start in enumerate(box.start):
        others = tuple(a for a in range(3) if a != axis)
        counts = np.count_nonzero(voxels, axis=others)
        centre.append(start + float(counts @ np.arange(counts.size)) / float(counts.sum()))
    x, y, z = mask.grid.to_mm(np.asarray(centre)).tolist()
    return x, y, z


def slice_range(mask: Mask) -> tuple[int, int, int] | None:
    """First, last and middle slice along the CT's own up-down axis, counted from 0 as stored; None when empty.

    First and last both hold the structure, first <= last; the middle is halfway, rounded down.
    """
    box = mask.box
    if box is None:
        return None
    up = mask.grid.axis_of(2)
    first, last = box.start[up], box.stop[up] - 1
    return first, last, (first + last) // 2


def extent_mm(mask: Mask) -> float:
    """Craniocaudal length in mm along the grid's up-down axis, from slice face to slice face; 0 when empty."""
    box = mask.box
    return 0.0 if box is None else box.size_mm[mask.grid.axis_of(2)]


def side_of(mask: Mask, reference: Mask) -> Side | None:
    """Say on which side of a reference (the spine, the aorta, the body) a structure lies, as the patient has it.

    Compares the centroids along the patient's right-left axis. None when either mask is empty or the centroids differ
    by no more than one voxel: then there is no side to name. The masks may lie on different grids of one patient frame.
    """
    own, other = centroid_mm(mask), centroid_mm(reference)
    if own is None or other is None:
        return None
    offset = own[0] - other[0]
    if abs(offset) <= mask.grid.spacing_mm[mask.grid.axis_of(0)]:
        return None
    return "right" if offset > 0 else "left"
