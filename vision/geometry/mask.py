"""Mask and Box: where a structure is, on the grid of its CT."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vision.geometry.grid import Grid


@dataclass(frozen=True)
class Box:
    """A half-open box of voxels, start <= index < stop, on a grid.

    `score` is the confidence in [0, 1] or None. A box without voxels does not exist.
    """

    start: tuple[int, int, int]
    stop: tuple[int, int, int]
    grid: Grid
    score: float | None = None

    def __post_init__(self) -> None:
        if any(not 0 <= a < b <= n for a, b, n in zip(self.start, self.stop, self.grid.shape, strict=True)):
            raise ValueError(f"box {self.start}..{self.stop} is empty or leaves {self.grid}")

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Index a voxel array of the grid with it."""
        i, j, k = (slice(a, b) for a, b in zip(self.start, self.stop, strict=True))
        return i, j, k

    @property
    def size_mm(self) -> tuple[float, float, float]:
        """Edge lengths in mm along the index axes, from voxel face to voxel face."""
        i, j, k = ((b - a) * s for a, b, s in zip(self.start, self.stop, self.grid.spacing_mm, strict=True))
        return i, j, k

    @property
    def centre_mm(self) -> tuple[float, float, float]:
        """Centre in RAS+ mm."""
        middle = (np.asarray(self.start) + np.asarray(self.stop) - 1) / 2
        x, y, z = self.grid.to_mm(middle)
        return float(x), float(y), float(z)


@dataclass(frozen=True, eq=False)
class Mask:
    """The voxels of one structure on the CT's own grid; falsy when empty.

    `voxels` is (I, J, K) bool, made read-only here. `structure` is a name of the structure table, `score` the
    confidence in [0, 1] or None when nothing estimated one.
    """

    voxels: np.ndarray
    grid: Grid
    structure: str
    score: float | None = None

    def __post_init__(self) -> None:
        if self.voxels.shape != self.grid.shape:
            raise ValueError(f"mask of shape {self.voxels.shape} does not fit {self.grid}")
        if self.voxels.dtype != np.bool_:
            raise ValueError(f"a mask is bool, got {self.voxels.dtype}")
        self.voxels.setflags(write=False)

    def __bool__(self) -> bool:
        return self.box is not None

    @cached_property
    def box(self) -> Box | None:
        """The smallest box around the mask, None when it is empty."""
        spans = box_around(self.voxels)
        if spans is None:
            return None
        i, j, k = spans
        return Box((i.start, j.start, k.start), (i.stop, j.stop, k.stop), self.grid, self.score)

    @cached_property
    def count(self) -> int:
        """Number of voxels."""
        box = self.box
        return 0 if box is None else int(np.count_nonzero(self.voxels[box.slices]))

    def require_grid(self, grid: Grid) -> None:
        """Raise ValueError unless this mask lies on `grid`: two things combine only on equal grids."""
        if not self.grid.matches(grid):
            raise ValueError(f"mask of {self.structure} lies on {self.grid}, not on {grid}")


def box_around(voxels: np.ndarray, margin: int = 0) -> tuple[slice, slice, slice] | None:
    """The smallest box around (I, J, K) bool, `margin` voxels wider where the array goes on; None when empty."""
    spans = []
    for others, size in zip(((1, 2), (0, 2), (0, 1)), voxels.shape, strict=True):
        filled = np.flatnonzero(voxels.any(axis=others))
        if filled.size == 0:
            return None
        spans.append(slice(max(0, int(filled[0]) - margin), min(size, int(filled[-1]) + 1 + margin)))
    return spans[0], spans[1], spans[2]
