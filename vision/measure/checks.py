"""Checks: is a structure all inside the scan, and do the sides make sense."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vision.geometry import Mask, Notice
from vision.measure.place import centroid_mm

SIDE_WORDS = {"R": "right", "L": "left", "A": "anterior", "P": "posterior", "S": "superior", "I": "inferior"}
OPPOSITE = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}
ORDER = ("superior", "inferior", "left", "right", "anterior", "posterior")
TOUCH_MM2 = 25.0
TOUCH_SHARE = 0.1
RIGHT_OF = (("liver", "spleen"), ("liver", "stomach"), ("postcava", "aorta"))
SIDE_LANDMARKS = tuple(dict.fromkeys(name for pair in RIGHT_OF for name in pair))
"""The structures whose order tells left from right."""
NON_CONTRAST = Notice(
    "W_NON_CONTRAST",
    "The CT was taken without contrast medium: lesions that differ little from their organ cannot be seen.",
)


def cut_at(mask: Mask, body: Mask | None = None) -> tuple[str, ...]:
    """Name the sides at which the scan cuts a structure, in patient words; () when it is complete or empty.

    A structure is cut where it reaches the outermost layer of voxels with a section of at least 25 mm2, or of a tenth
    of its own largest section where that is less, so that a small lesion counts with one pixel. A smaller touch of a
    large structure is its tip or a stray voxel: an ellipsoid sectioned at 5 % of its largest section has lost 0.05 % of
    its volume. Any doubt counts as cut, for a volume withheld is a lesser harm than a false one. All six faces of the
    array follow the rule, whatever the order and direction of its axes.

    `body` is where the CT holds data; slices above and below it (padding) are then not part of the scan. Raises
    ValueError when it lies on another grid.
    """
    if body is not None:
        body.require_grid(mask.grid)
    box = mask.box
    if box is None:
        return ()
    low, high = [0, 0, 0], list(mask.grid.shape)
    if body is not None and body.box is not None:
        up = mask.grid.axis_of(2)
        low[up], high[up] = body.box.start[up], body.box.stop[up]
    voxels, codes, found = mask.voxels[box.slices], mask.grid.axcodes, set()
    for axis, code in enumerate(codes):
        sections = np.count_nonzero(voxels, axis=tuple(a for a in range(3) if a != axis)) * _face_mm2(mask, axis)
        enough = min(TOUCH_MM2, TOUCH_SHARE * float(sections.max()))
        start = box.start[axis]
        first, last = max(low[axis] - start, 0), max(0, min(high[axis] - 1 - start, sections.size - 1))
        if start <= low[axis] and sections[: first + 1].max() >= enough:
            found.add(SIDE_WORDS[OPPOSITE[code]])
        if box.stop[axis] >= high[axis] and sections[last:].max() >= enough:
            found.add(SIDE_WORDS[code])
    return tuple(side for side in ORDER if side in found)


def complete(mask: Mask, body: Mask | None = None) -> bool:
    """Whether the scan range holds the whole structure, by the rule of `cut_at`; an empty mask is not complete."""
    return bool(mask) and not cut_at(mask, body)


def anatomical_side_check(masks: Mapping[str, Mask]) -> Notice | None:
    """Warn when organs lie on the wrong side: a left-right flip of the file or a mirrored patient (situs inversus).

    The liver lies to the right of the spleen; where the spleen is not in view, of the stomach; else the postcava to the
    right of the aorta. The first pair with both present decides, None when it agrees or no pair is there. Keys are
    names of the structure table.
    """
    for right, left in RIGHT_OF:
        if right not in masks or left not in masks:
            continue
        own, other = centroid_mm(masks[right]), centroid_mm(masks[left])
        if own is None or other is None:
            continue
        if own[0] > other[0]:
            return None
        text = f"The {right} lies to the left of the {left}: possible left-right flip of the file, or situs inversus."
        return Notice("W_POSSIBLE_FLIP", text)
    return None


def _face_mm2(mask: Mask, axis: int) -> float:
    """Area in mm2 of a voxel's face across an index axis."""
    spacing = mask.grid.spacing_mm
    return spacing[(axis + 1) % 3] * spacing[(axis + 2) % 3]
