"""The engine of real shapes: lesions that were annotated in patients, turned, scaled and painted like the handcrafted.

For training only: whoever shares what it makes needs the shapes' licence for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from vision.errors import UsageError
from vision.synthesis.tumours.handcrafted import dress, texture
from vision.synthesis.tumours.parts import Body
from vision.synthesis.tumours.protocol import Painted, Settled, Spacing, Voxel
from vision.synthesis.tumours.shape_folder import ListedShape, Shape, list_shapes, read_shape
from vision.synthesis.tumours.shapes import fit

LARGEST_SCALE = 2.0
"""A shape is scaled by at most this either way, where the folder allows: a small tumour is not a shrunken giant."""
SMOOTHED_VOXELS = 0.8
"""Takes away the stairs that thick slices leave in a label map."""


@dataclass(frozen=True)
class RealShapes:
    """Paints shapes of a folder; `shapes` are those it draws from."""

    shapes: tuple[ListedShape, ...]
    name: str = "real-shape"

    def paint(
        self,
        ct: NDArray[np.float32],
        room: NDArray[np.bool_],
        spacing: Spacing,
        wish: Settled,
        rng: np.random.Generator,
    ) -> Painted:
        """Paint one tumour on a crop: see `Engine`.

        Raises UsageError E_TUMOUR_ROOM, E_SHAPES when no shape is of the wished kind, and InputRefused as `read_shape`.
        """
        shape: Voxel = (ct.shape[0], ct.shape[1], ct.shape[2])
        real = read_shape(_draw(self.shapes, wish, rng), rng)
        level = turned_level(real, shape, spacing, wish, rng)
        mask, surface = fit(level, room, spacing, wish.centre, wish.diameter_mm)
        hu = wish.organ_hu + wish.contrast_hu + texture(shape, spacing, wish, rng)
        return dress(hu, wish.parts, Body(mask, level, surface, spacing, wish), ct=ct, room=room, rng=rng)


def open_shapes(folder: Path) -> RealShapes:
    """The engine of a folder's shapes. Raises UsageError E_SHAPES for a folder that holds none."""
    return RealShapes(list_shapes(folder))


def turned_level(
    real: Shape, shape: Voxel, spacing: Spacing, wish: Settled, rng: np.random.Generator
) -> NDArray[np.float32]:
    """(I, J, K) float32 on the crop: 1 at the surface of the shape, falling by 1 over a radius inwards.

    The shape is turned and mirrored at random, scaled to the wished diameter, and its deepest point is put on the
    wished centre.
    """
    inward = _inward_mm(real)
    deepest = np.array(np.unravel_index(int(inward.argmax()), inward.shape))
    scale = wish.diameter_mm / real.diameter_mm
    turn = Rotation.random(rng=rng).as_matrix() * rng.choice([-1.0, 1.0])
    # The crop's axes in voxels of the shape: mm of the crop, turned, unscaled, in its spacing.
    matrix = turn * np.asarray(spacing) / (scale * np.asarray(real.spacing)[:, None])
    offset = deepest - matrix @ np.asarray(wish.centre)
    sampled = ndimage.affine_transform(inward, matrix, offset, output_shape=shape, order=1, mode="nearest")
    return 1 - sampled * np.float32(2 / real.diameter_mm)


def _inward_mm(real: Shape) -> NDArray[np.float32]:
    """(I, J, K) float32 mm below the shape's surface, negative outside, with a margin of a radius and a half."""
    margin = [int(np.ceil(0.75 * real.diameter_mm / step)) for step in real.spacing]
    mask = np.pad(real.mask, [(count, count) for count in margin])
    away = edt.edt(mask, anisotropy=real.spacing) - edt.edt(~mask, anisotropy=real.spacing)
    smooth: NDArray[np.float32] = ndimage.gaussian_filter(away, SMOOTHED_VOXELS)
    return smooth


def _draw(shapes: tuple[ListedShape, ...], wish: Settled, rng: np.random.Generator) -> ListedShape:
    """A shape of the wished kind, of the wished organ and near the wished size where there are such."""
    fitting = [shape for shape in shapes if shape.kind == wish.kind]
    if not fitting:
        raise UsageError("E_SHAPES", f"The folder holds no shape of a {wish.kind}.", "Ask for another kind or folder.")
    same_organ = [shape for shape in fitting if shape.organ == wish.organ]
    pool = same_organ or fitting
    near = [shape for shape in pool if 1 / LARGEST_SCALE <= shape.diameter_mm / wish.diameter_mm <= LARGEST_SCALE]
    pool = near or pool
    return pool[int(rng.integers(len(pool)))]
