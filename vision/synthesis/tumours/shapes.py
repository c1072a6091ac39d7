"""Shapes: an ellipsoid bent by a smooth displacement, grown until it has the volume that was asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from vision.synthesis.tumours.fields import smooth_field
from vision.synthesis.tumours.protocol import Spacing, Voxel
from vision.synthesis.tumours.room import no_room
from vision.synthesis.tumours.sight import seen_from

LARGEST_LEVEL = 1.45
KEPT_SHARE = 0.97


@dataclass(frozen=True)
class Roughness:
    """How far a shape is from a ball: axis ratios, displacement as shares of the radius, broad and fine, and how far
    the room may press it out of its shape, in radii."""

    axis_ratios: tuple[float, float]
    broad: float
    fine: float
    largest_level: float


CYST = Roughness((0.92, 1.08), 0.05, 0.0, 1.15)
TUMOUR = Roughness((0.75, 1.25), 0.22, 0.06, LARGEST_LEVEL)
"""The axis ratios of SyntheticTumors (CVPR-23): each radius 0.75 to 1.25 times the nominal one."""


def bent_level(
    shape: Voxel, spacing: Spacing, centre: Voxel, radius_mm: float, roughness: Roughness, rng: np.random.Generator
) -> NDArray[np.float32]:
    """(I, J, K) float32: distance from the centre in radii of the bent ellipsoid, so that 1 is its surface.

    Every point is looked up where a smooth displacement field carries it; broad bends are a radius wide, fine ones a
    third.
    """
    ratios = rng.uniform(*roughness.axis_ratios, size=3)
    ratios /= np.prod(ratios) ** (1 / 3)
    turned = Rotation.random(rng=rng).as_matrix() / (ratios[:, None] * radius_mm)
    points = np.empty((3, *shape), dtype=np.float32)
    for axis in range(3):
        along = (np.arange(shape[axis]) - centre[axis]) * spacing[axis]
        points[axis] = along.reshape([-1 if other == axis else 1 for other in range(3)])
        points[axis] += roughness.broad * radius_mm * smooth_field(shape, spacing, radius_mm, rng)
        if roughness.fine > 0:
            points[axis] += roughness.fine * radius_mm * smooth_field(shape, spacing, radius_mm / 3, rng)
    points -= points[:, centre[0], centre[1], centre[2]].reshape(3, 1, 1, 1)
    level = np.zeros(shape, dtype=np.float32)
    for row in turned.astype(np.float32):
        level += np.square(row[0] * points[0] + row[1] * points[1] + row[2] * points[2])
    return np.sqrt(level, out=level)


def grow(
    level: NDArray[np.float32], room: NDArray[np.bool_], spacing: Spacing, centre: Voxel, diameter_mm: float
) -> tuple[NDArray[np.bool_], float]:
    """The connected part of {level <= t} in the room round the centre with the wished volume, and t.

    At least one voxel. Only what a straight line from the centre reaches is taken, so that it wraps round nothing.
    Raises UsageError E_TUMOUR_ROOM when the centre is not in the room, or the volume is not reached within 1.45 radii:
    then the shape would be the room's, not a tumour's.
    """
    free = seen_from(room, spacing, centre, LARGEST_LEVEL * diameter_mm / 2) if room[centre] else room
    return fit(level, free, spacing, centre, diameter_mm)


def fit(
    level: NDArray[np.float32], free: NDArray[np.bool_], spacing: Spacing, centre: Voxel, diameter_mm: float
) -> tuple[NDArray[np.bool_], float]:
    """As `grow`, in all that is free whether it is seen from the centre or not. Raises UsageError E_TUMOUR_ROOM."""
    volume = math.pi / 6 * diameter_mm**3
    wanted = max(1, round(volume / math.prod(spacing)))
    if not free[centre]:
        raise no_room(diameter_mm)
    levels = level[free & (level <= LARGEST_LEVEL)]
    aimed = wanted
    for _ in range(4):
        if levels.size < aimed:
            break
        threshold = float(max(np.partition(levels, aimed - 1)[aimed - 1], level[centre]))
        mask = _part_with(free & (level <= threshold), centre)
        count = int(np.count_nonzero(mask))
        if count >= KEPT_SHARE * wanted:
            return mask, threshold
        aimed += wanted - count
    raise no_room(diameter_mm)


def _part_with(mask: NDArray[np.bool_], centre: Voxel) -> NDArray[np.bool_]:
    labels = cc3d.connected_components(mask, connectivity=18)
    part: NDArray[np.bool_] = labels == labels[centre]
    return part
