"""A lesion as evaluation sees it: its voxels in a box on the CT's grid, its long axis, and how sure it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vision.geometry import Box, Grid, Mask, cropped_grid
from vision.measure import axes, components
from vision.structures import STRUCTURES

LESIONS = frozenset(row.name for row in STRUCTURES if row.lesion_of)
"""The structures that are found in other structures, one by one."""


@dataclass(frozen=True, eq=False)
class Lesion:
    """One lesion of a reference or of a prediction.

    `voxels` (I, J, K) bool fill `box` and touch each of its sides. `confidence` in [0, 1] is None where nothing
    estimated one, as in a reference.
    """

    structure: str
    box: Box
    voxels: np.ndarray
    confidence: float | None = None

    @cached_property
    def count(self) -> int:
        """Number of voxels."""
        return int(np.count_nonzero(self.voxels))

    @property
    def volume_ml(self) -> float:
        """Volume in mL."""
        return self.count * self.box.grid.voxel_ml

    @cached_property
    def long_axis_mm(self) -> float:
        """The RECIST long axis, see `vision.measure.axes`."""
        measured = axes(Mask(self.voxels, cropped_grid(self.box.grid, self.box.start, self.box.stop), self.structure))
        assert measured is not None, "a box holds at least one voxel"
        return measured.long_mm

    def mask(self) -> Mask:
        """The lesion alone on the CT's grid."""
        voxels = np.zeros(self.box.grid.shape, dtype=bool)
        voxels[self.box.slices] = self.voxels
        return Mask(voxels, self.box.grid, self.structure, self.confidence)


def connected_lesions(mask: Mask) -> list[Lesion]:
    """Every 26-connected part of a mask as a lesion, largest first: touching lesions are one."""
    if mask.box is None:
        return []
    start, stop = mask.box.start, mask.box.stop
    inside = Mask(mask.voxels[mask.box.slices].copy(), cropped_grid(mask.grid, start, stop), mask.structure)
    return [_moved(part, start, mask.grid) for part in components(inside)]


def numbered_lesions(labels: np.ndarray, grid: Grid, structure: str) -> list[Lesion]:
    """The lesions of (I, J, K) integers in which 0 is background, in the order of their numbers.

    Two numbers or more say which voxel belongs to which lesion, touching or in pieces; a single number is a plain mask,
    whose parts are told apart as in `connected_lesions`.
    """
    from scipy.ndimage import find_objects

    boxes = {number: box for number, box in enumerate(find_objects(labels), start=1) if box is not None}
    if len(boxes) < 2:
        return connected_lesions(Mask(labels > 0, grid, structure))
    return [
        _lesion(labels[box] == number, tuple(side.start for side in box), grid, structure)
        for number, box in boxes.items()
    ]


def with_confidence(lesion: Lesion, estimate: Callable[[Lesion], float | None]) -> Lesion:
    """The same lesion, as sure as `estimate` says."""
    return Lesion(lesion.structure, lesion.box, lesion.voxels, estimate(lesion))


def common_voxels(first: Lesion, second: Lesion) -> int:
    """Number of voxels in both of two lesions on one grid."""
    low = np.maximum(first.box.start, second.box.start)
    high = np.minimum(first.box.stop, second.box.stop)
    if (low >= high).any():
        return 0
    parts = [
        lesion.voxels[tuple(slice(a, b) for a, b in zip(low - lesion.box.start, high - lesion.box.start, strict=True))]
        for lesion in (first, second)
    ]
    return int(np.count_nonzero(parts[0] & parts[1]))


def _moved(part: Mask, start: tuple[int, int, int], grid: Grid) -> Lesion:
    """A part on a cropped grid that begins at `start`, as a lesion on the whole grid."""
    assert part.box is not None, "a component holds at least one voxel"
    corner = tuple(a + b for a, b in zip(start, part.box.start, strict=True))
    return _lesion(part.voxels[part.box.slices].copy(), corner, grid, part.structure)


def _lesion(voxels: np.ndarray, corner: tuple[int, ...], grid: Grid, structure: str) -> Lesion:
    i, j, k = corner
    a, b, c = voxels.shape
    return Lesion(structure, Box((i, j, k), (i + a, j + b, k + c), grid), voxels)
