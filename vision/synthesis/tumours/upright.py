"""A CT of any orientation turned upright, where tumours are painted, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from vision.geometry import CTVolume, Mask, reorient_array, restore_array
from vision.synthesis.tumours.protocol import Spacing, Voxel

APART_MM = 4.0


@dataclass(frozen=True, eq=False)
class UprightCT:
    """`hu` (I, J, K) and `masks`, (I, J, K) bool by structure, run to the right, to the front and up.

    `ct` is the CT as it is stored, whose axes `axes` and `signs` turn.
    """

    ct: CTVolume
    hu: NDArray[Any]
    masks: Mapping[str, NDArray[np.bool_]]
    spacing: Spacing
    axes: tuple[int, int, int]
    signs: tuple[int, int, int]

    @classmethod
    def of(cls, ct: CTVolume, masks: Mapping[str, Mask]) -> UprightCT:
        """Turn a CT with its masks, which lie on its grid."""
        grid, axes, signs = ct.grid.reoriented("RAS")
        turned = {name: reorient_array(mask.voxels, axes, signs) for name, mask in masks.items()}
        hu = np.ascontiguousarray(reorient_array(ct.hu, axes, signs))
        return cls(ct, hu, turned, grid.spacing_mm, axes, signs)

    def union(self, structures: Sequence[str]) -> NDArray[np.bool_]:
        """(I, J, K) bool, a new array: the voxels of any of some structures; those without a mask have none."""
        union = np.zeros(self.hu.shape, dtype=np.bool_)
        for name in structures:
            if name in self.masks:
                union |= self.masks[name]
        return union

    def near(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(I, J, K) bool: a mask and a box of 4 mm around each of its voxels, which painted things leave free."""
        sides = [2 * math.ceil(APART_MM / step) + 1 for step in self.spacing]
        near: NDArray[np.bool_] = ndimage.maximum_filter(mask, sides) if mask.any() else mask.copy()
        return near

    def restore(self, array: NDArray[Any]) -> NDArray[Any]:
        """An upright array in the order in which the CT is stored."""
        return np.ascontiguousarray(restore_array(array, self.axes, self.signs))

    def stored_voxel(self, voxel: Voxel) -> Voxel:
        """An upright voxel among those of the CT as it is stored."""
        stored = [0, 0, 0]
        for at, old, sign in zip(voxel, self.axes, self.signs, strict=True):
            stored[old] = at if sign > 0 else self.ct.grid.shape[old] - 1 - at
        return stored[0], stored[1], stored[2]
