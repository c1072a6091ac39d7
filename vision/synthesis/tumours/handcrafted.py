"""The handcrafted engine: a bent ellipsoid with texture and parts, in HU relative to the organ around it.

After SyntheticTumors (Hu et al., CVPR 2023), whose tumours are ellipsoids with elastic deformation and smoothed
texture, but for four organs, bright as well as dark, with parts, in mm at any spacing, and from one generator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from vision.synthesis.tumours.fields import smooth_field
from vision.synthesis.tumours.parts import Body, paint_part
from vision.synthesis.tumours.protocol import Painted, Part, Settled, Spacing, Voxel
from vision.synthesis.tumours.room import ends_with_organ, no_room
from vision.synthesis.tumours.shapes import CYST, TUMOUR, bent_level, grow
from vision.synthesis.tumours.tissue import scan_noise

TEXTURE_WIDTHS = ((0.5, 0.5), (0.22, 0.65), (0.1, 0.55))
"""Widths as shares of the diameter, and the share of the texture's SD; squares add up to about 1."""
FINEST_TEXTURE_MM = 3.0
FAT_HU = -100.0


@dataclass(frozen=True)
class Handcrafted:
    """Paints bent ellipsoids; it has no weights and needs about a second for a cube of 128 voxels."""

    name: str = "handcrafted"

    def paint(
        self,
        ct: NDArray[np.float32],
        room: NDArray[np.bool_],
        spacing: Spacing,
        wish: Settled,
        rng: np.random.Generator,
    ) -> Painted:
        """Paint one tumour on a crop: see `Engine`. Raises UsageError E_TUMOUR_ROOM."""
        shape: Voxel = (ct.shape[0], ct.shape[1], ct.shape[2])
        mask, level, surface = bent_ellipsoid(room, spacing, wish, rng)
        hu = wish.organ_hu + wish.contrast_hu + texture(shape, spacing, wish, rng)
        return dress(hu, wish.parts, Body(mask, level, surface, spacing, wish), ct=ct, room=room, rng=rng)


def bent_ellipsoid(
    room: NDArray[np.bool_], spacing: Spacing, wish: Settled, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.float32], float]:
    """The mask of a settled tumour in its room, its level and the level of its surface; see `bent_level` and `grow`.

    Raises UsageError E_TUMOUR_ROOM.
    """
    shape: Voxel = (room.shape[0], room.shape[1], room.shape[2])
    roughness = CYST if wish.kind == "cyst" else TUMOUR
    level = bent_level(shape, spacing, wish.centre, wish.diameter_mm / 2, roughness, rng)
    mask, surface = grow(level, room, spacing, wish.centre, wish.diameter_mm)
    # Half a voxel more, because a small ball of voxels reaches beyond its radius.
    if surface > roughness.largest_level + math.hypot(*spacing) / wish.diameter_mm:
        raise no_room(wish.diameter_mm)
    return mask, level, surface


def dress(
    hu: NDArray[np.float32],
    parts: tuple[Part, ...],
    body: Body,
    *,
    ct: NDArray[np.float32],
    room: NDArray[np.bool_],
    rng: np.random.Generator,
) -> Painted:
    """Paint parts into the tumour's HU (I, J, K), give it the noise of the CT, and say what that changes."""
    for part in parts:
        hu = paint_part(part, hu, body, rng)
    change = hu + scan_noise(ct, body.spacing, rng) - ct
    if ends_with_organ(body.settled):
        # A voxel at the organ's border is partly fat, and stays so: only its share of tissue changes.
        border = room & ~ndimage.binary_erosion(room, border_value=1)
        share = np.clip((ct[border] - FAT_HU) / (body.settled.organ_hu - FAT_HU), 0, 1)
        change[border] -= (1 - share) * (hu[border] - FAT_HU)
    return Painted(body.mask, change.astype(np.float32), parts)


def texture(shape: Voxel, spacing: Spacing, wish: Settled, rng: np.random.Generator) -> NDArray[np.float32]:
    """(I, J, K) float32 HU of mean 0 and about the settled SD: three smooth fields of different width."""
    total = np.zeros(shape, dtype=np.float32)
    for width, share in TEXTURE_WIDTHS:
        width_mm = max(width * wish.diameter_mm, FINEST_TEXTURE_MM)
        total += np.float32(share * wish.texture_hu) * smooth_field(shape, spacing, width_mm, rng)
    return total
