"""Thirds: upper pole, interpolar region and lower pole of a kidney."""

from __future__ import annotations

from typing import Literal

import numpy as np

from vision.geometry import Mask

Third = Literal["upper pole", "interpolar region", "lower pole"]
THIRDS: tuple[Third, ...] = ("upper pole", "interpolar region", "lower pole")


def kidney_third(kidney: Mask, piece: Mask) -> Third | None:
    """The third of the kidney's long axis that holds most of a piece; None when either is empty.

    The long axis is the first principal axis of the kidney's voxels, from its uppermost to its lowest voxel, in three
    equal lengths. What lies beyond the kidney's ends, as of a lesion that grows out of it, counts to the pole there.
    Raises ValueError for masks on different grids.
    """
    kidney.require_grid(piece.grid)
    own, other = _voxels_mm(kidney), _voxels_mm(piece)
    if not own.size or not other.size:
        return None
    centre = own.mean(axis=0)
    axis = np.linalg.eigh(np.cov((own - centre).T) if len(own) > 1 else np.eye(3))[1][:, -1]
    if axis[2] < 0:
        axis = -axis
    along = (own - centre) @ axis
    edges = np.linspace(float(along.max()), float(along.min()), 4)[1:-1]
    third = np.digitize((other - centre) @ axis, edges)
    return THIRDS[int(np.bincount(third, minlength=3).argmax())]


def _voxels_mm(mask: Mask) -> np.ndarray:
    """(n, 3) RAS+ mm of a mask's voxel centres."""
    box = mask.box
    if box is None:
        return np.zeros((0, 3))
    return mask.grid.to_mm(np.argwhere(mask.voxels[box.slices]) + box.start)
