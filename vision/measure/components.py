"""Components: the separate parts of a mask."""

from __future__ import annotations

import numpy as np

from vision.geometry import Mask
from vision.measure.size import axes


def components(
    mask: Mask, *, min_volume_ml: float = 0.0, min_diameter_mm: float = 0.0, min_slices: int = 1
) -> list[Mask]:
    """Split a mask into its 26-connected parts, largest first; [] when empty.

    Parts below `min_volume_ml`, whose axial long axis is below `min_diameter_mm` or that are seen in fewer than
    `min_slices` slices along the grid's up-down axis are left out. Each part is a mask of the same structure and score
    on the same grid. Raises ValueError for a limit below 0.
    """
    if not (min_volume_ml >= 0 and min_diameter_mm >= 0):
        raise ValueError(f"limits are at least 0, got {min_volume_ml} mL and {min_diameter_mm} mm")
    box = mask.box
    if box is None:
        return []
    import cc3d

    labels = cc3d.connected_components(_widened(mask.voxels[box.slices]), connectivity=26)
    statistics = cc3d.statistics(labels)
    counts, boxes = statistics["voxel_counts"], statistics["bounding_boxes"]
    order = sorted(range(1, len(counts)), key=lambda label: (-int(counts[label]), label))
    up = mask.grid.axis_of(2)
    parts = []
    for label in order:
        if counts[label] * mask.grid.voxel_ml < min_volume_ml:
            break
        if _slices(boxes[label][up]) < min_slices:
            continue
        voxels = np.zeros(mask.grid.shape, dtype=bool)
        voxels[box.slices][boxes[label]] = labels[boxes[label]] == label
        part = Mask(voxels, mask.grid, mask.structure, mask.score)
        if min_diameter_mm > 0:
            measured = axes(part)
            if measured is None or measured.long_mm < min_diameter_mm:
                continue
        parts.append(part)
    return parts


def largest_component(mask: Mask) -> Mask:
    """Keep the largest 26-connected part; an empty mask stays empty."""
    box = mask.box
    if box is None:
        return mask
    import cc3d

    kept = cc3d.largest_k(_widened(mask.voxels[box.slices]), k=1, connectivity=26) > 0
    voxels = np.zeros(mask.grid.shape, dtype=bool)
    voxels[box.slices] = kept[:-1, :-1, :-1]
    return Mask(voxels, mask.grid, mask.structure, mask.score)


def _slices(span: slice) -> int:
    return int(span.stop - span.start)


def _widened(voxels: np.ndarray) -> np.ndarray:
    """(I + 1, J + 1, K + 1): one empty voxel after the end of each axis, for cc3d 4.1 fails on a single row."""
    return np.pad(voxels, [(0, 1)] * 3)
