"""Confusers: what looks like a tumour and is none, painted so that a network learns to leave it alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from vision.synthesis.tumours.blend import VOXEL_SD, add_change, stored_range
from vision.synthesis.tumours.protocol import Organ, Spacing, Voxel
from vision.synthesis.tumours.room import centres, hu_near, window
from vision.synthesis.tumours.sight import seen_from
from vision.synthesis.tumours.tissue import scan_noise

ConfuserName = Literal["vessel", "bile duct branch", "gas", "fat cleft"]
EDGE_MM = 0.7


@dataclass(frozen=True)
class Look:
    """One confuser: HU (against the organ for a vessel, absolute otherwise), radius and length in mm, how flat it is.

    `flatness` is the thickness across over the width: 1 a tube, less a sheet.
    """

    relative: bool
    hu: tuple[float, float]
    radius_mm: tuple[float, float]
    length_mm: tuple[float, float]
    flatness: tuple[float, float]


LOOKS: MappingProxyType[ConfuserName, Look] = MappingProxyType(
    {
        "vessel": Look(True, (20, 90), (1.5, 5.0), (15, 50), (0.8, 1.0)),
        "bile duct branch": Look(False, (0, 20), (1.0, 3.0), (15, 45), (0.8, 1.0)),
        "gas": Look(False, (-1000, -400), (1.0, 3.0), (3, 15), (0.5, 1.0)),
        "fat cleft": Look(False, (-110, -60), (3.0, 8.0), (12, 40), (0.15, 0.35)),
    }
)
"""HU of vessels, bile, gas and fat: hu_and_sizes 5c; shapes: engineering choice."""
FOUND_IN: MappingProxyType[Organ, tuple[ConfuserName, ...]] = MappingProxyType(
    {
        "liver": ("vessel", "bile duct branch", "gas", "fat cleft"),
        "pancreas": ("vessel", "bile duct branch", "fat cleft"),
        "kidney": ("vessel", "fat cleft"),
        "colon": ("gas", "fat cleft"),
    }
)
"""What each organ can hold: bile ducts run through liver and pancreas, gas lies in bile ducts and bowel."""


@dataclass(frozen=True, eq=False)
class Confused:
    """A CT with a confuser: `ct` as given in shape and dtype, `mask` (I, J, K) bool of tumour, empty, its name, and the
    voxel of its middle."""

    ct: NDArray[Any]
    mask: NDArray[np.bool_]
    name: ConfuserName
    centre_voxel: Voxel


def paint_confuser(
    ct: NDArray[Any],
    organ_mask: NDArray[np.bool_],
    spacing: Spacing,
    *,
    organ: Organ,
    name: ConfuserName,
    rng: np.random.Generator,
) -> Confused:
    """Paint one confuser into an organ, by the rules of `synthesise`: outside its blurred support and outside the organ
    the CT is bit-identical, and the same state of `rng` gives the same bytes. Raises UsageError E_TUMOUR_ROOM."""
    look = LOOKS[name]
    radius, length = rng.uniform(*look.radius_mm), rng.uniform(*look.length_mm)
    centre = centres(organ_mask, spacing, of=organ, diameter_mm=2 * radius, exophytic="inside", rng=rng)[0]
    box = window(ct.shape, spacing, centre, length / 2 + radius + 4 * EDGE_MM + 2)
    crop, room = ct[box].astype(np.float32), organ_mask[box]
    inside: Voxel = (centre[0] - box[0].start, centre[1] - box[1].start, centre[2] - box[2].start)
    organ_hu = hu_near(crop, room, spacing, inside, of=organ, diameter_mm=2 * radius)
    hu = rng.uniform(*look.hu) + (organ_hu if look.relative else 0.0)
    distance = _tube(crop.shape, spacing, inside, radius, length, rng.uniform(*look.flatness), rng)
    edge = math.hypot(EDGE_MM, VOXEL_SD * max(spacing))
    weight = np.clip(0.5 - distance / (2 * edge), 0, 1).astype(np.float32)
    weight *= seen_from(room, spacing, inside, length)
    change = hu + scan_noise(crop, spacing, rng) - crop
    painted = ct.copy()
    painted[box] = add_change(ct[box], weight, change.astype(np.float32), stored_range(ct))
    return Confused(painted, np.zeros(ct.shape, dtype=np.bool_), name, centre)


def _tube(
    shape: tuple[int, ...],
    spacing: Spacing,
    centre: Voxel,
    radius: float,
    length: float,
    flatness: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """(I, J, K) float32 mm outside the surface of a bent, flattened, tapering tube; negative inside."""
    axes = [(np.arange(count) - at) * step for count, at, step in zip(shape, centre, spacing, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) @ Rotation.random(rng=rng).as_matrix()
    along = points[..., 0]
    half = length / 2
    bend = rng.uniform(-0.25, 0.25, size=2) * length * np.square(along / half)[..., None]
    across = (points[..., 1:] - bend) / np.array([1.0, flatness])
    taper = radius * (1 - 0.3 * np.clip(np.abs(along) / half, 0, 1))
    beyond = np.maximum(np.abs(along) - half, 0) / flatness
    distance: NDArray[np.float32] = ((np.hypot(np.linalg.norm(across, axis=-1), beyond) - taper) * flatness).astype(
        np.float32
    )
    return distance
