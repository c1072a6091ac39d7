"""Stand-ins for what is slow or needs weights. They find what they were given, so a test knows the truth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vision.geometry import CTVolume, Mask
from vision.segmenter import Encoding, Progress, no_progress


class LabelMapSegmenter:
    """A `Segmenter` that hands out the masks it was made with, and empty ones for other `searches`."""

    def __init__(
        self, masks: Mapping[str, Mask], *, searches: frozenset[str] = frozenset(), name: str = "label map"
    ) -> None:
        self.masks = dict(masks)
        self.name = name
        self.structures = frozenset(masks) | searches

    def encode(self, ct: CTVolume, progress: Progress = no_progress) -> Encoding:
        progress("looking at the CT", 1.0)
        return Encoding(ct=ct, state=None)

    def segment(self, encoding: Encoding, structure: str) -> Mask:
        if structure not in self.structures:
            raise KeyError(structure)
        if structure in self.masks:
            self.masks[structure].require_grid(encoding.ct.grid)
            return self.masks[structure]
        return Mask(np.zeros(encoding.ct.grid.shape, dtype=bool), encoding.ct.grid, structure)

    def confidence(self, encoding: Encoding, part: Mask) -> float | None:
        return 0.9 if part else None


class BoxSegmenter:
    """A `Segmenter` for any CT: each structure is the middle half of the volume, moved along the first axis."""

    def __init__(self, structures: tuple[str, ...] = ("liver", "spleen"), *, name: str = "boxes") -> None:
        self.name = name
        self.order = structures
        self.structures = frozenset(structures)

    def encode(self, ct: CTVolume, progress: Progress = no_progress) -> Encoding:
        progress("looking at the CT", 1.0)
        return Encoding(ct=ct, state=None)

    def segment(self, encoding: Encoding, structure: str) -> Mask:
        if structure not in self.structures:
            raise KeyError(structure)
        grid = encoding.ct.grid
        voxels = np.zeros(grid.shape, dtype=bool)
        shift = self.order.index(structure)
        start = [n // 4 + (shift if axis == 0 else 0) for axis, n in enumerate(grid.shape)]
        stop = [a + max(1, n // 2) for a, n in zip(start, grid.shape, strict=True)]
        voxels[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
        return Mask(voxels, grid, structure, score=0.9)

    def confidence(self, encoding: Encoding, part: Mask) -> float | None:
        return 0.9 if part else None
