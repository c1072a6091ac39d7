"""Canvas: where shapes become Hounsfield units and labels, later ones over earlier ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vision.phantom.shapes import Region, Stage

MOVING_EDGE_MM = 1.6


@dataclass(eq=False)
class Canvas:
    """HU (I, J, K) float32 and labels (I, J, K) uint8 that shapes are painted on.

    Label 0 belongs to nothing; `names[n - 1]` is the structure of label n.
    """

    stage: Stage
    hu: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]

    @classmethod
    def blank(cls, stage: Stage, hu: float, names: Sequence[str]) -> Canvas:
        """A canvas of one HU for the structures `names`."""
        shape = stage.grid.shape
        return cls(stage, np.full(shape, hu, dtype=np.float32), np.zeros(shape, dtype=np.uint8), tuple(names))

    def paint(
        self, region: Region, hu: float | np.ndarray, *, structure: str | None = None, edge_mm: float = MOVING_EDGE_MM
    ) -> None:
        """Blend HU in over an edge `edge_mm` wide and give the inside to a structure (or to nothing)."""
        if region.distance.size == 0:
            return
        share = np.clip(0.5 - region.distance / edge_mm, 0, 1)
        target = self.hu[region.slices]
        target += share * (hu - target)
        self.labels[region.slices][region.inside] = 0 if structure is None else self.label_of(structure)

    def tint(self, region: Region, hu: float | np.ndarray, *, edge_mm: float = MOVING_EDGE_MM) -> None:
        """Blend HU in and leave the labels as they are."""
        if region.distance.size == 0:
            return
        share = np.clip(0.5 - region.distance / edge_mm, 0, 1)
        target = self.hu[region.slices]
        target += share * (hu - target)

    def tint_within(self, region: Region, hu: float | np.ndarray, *, structure: str) -> None:
        """Blend HU in where the labels are a structure's."""
        if region.distance.size == 0:
            return
        belongs = self.labels[region.slices] == self.label_of(structure)
        share = np.clip(0.5 - region.distance / MOVING_EDGE_MM, 0, 1) * belongs
        target = self.hu[region.slices]
        target += share * (hu - target)

    def label_of(self, structure: str) -> int:
        """The label of one of `names`."""
        return self.names.index(structure) + 1

    def voxels_of(self, structure: str) -> np.ndarray:
        """(I, J, K) bool of one structure."""
        return self.labels == self.label_of(structure)
