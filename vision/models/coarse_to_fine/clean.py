"""Clean-up: what a mask may look like, one row per structure, in mm and mL. Pure functions on voxels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import cc3d
import numpy as np

from vision.geometry import box_around
from vision.structures import by_name

Holes = Literal["enclosed", "in slices", "open"]
"""Which holes are filled: those closed all around, those closed within an axial slice, or none."""

LARGEST_HOLE_CM2 = 12.0
"""A ring in a slice around more than this is a loop of bowel or vessel, not a wall around contents."""
SMALLEST_LESION_ML = 0.06
"""Lesion pieces below it (a ball of 5 mm) are not told from noise."""


@dataclass(frozen=True)
class Cleaning:
    """The rules for one structure.

    Pieces of at least `least_share` of the largest and of `least_ml` stay; a share of 1 keeps the largest alone.
    `crossing_mm` is how far a structure of one side may reach over the midline, None where it has no side.
    """

    least_share: float
    least_ml: float
    holes: Holes
    crossing_mm: float | None = None


ORGAN = Cleaning(1.0, 0.1, "enclosed")
LESION = Cleaning(0.0, SMALLEST_LESION_ML, "open")

CLEANING: Mapping[str, Cleaning] = MappingProxyType(
    {
        "aorta": Cleaning(0.10, 0.5, "in slices"),
        "gall_bladder": Cleaning(1.0, 0.2, "enclosed"),
        "kidney_left": Cleaning(0.20, 1.0, "enclosed", 15.0),
        "kidney_right": Cleaning(0.20, 1.0, "enclosed", 15.0),
        "liver": Cleaning(1.0, 5.0, "enclosed"),
        "pancreas": Cleaning(0.15, 0.5, "enclosed"),
        "postcava": Cleaning(0.10, 0.5, "in slices"),
        "spleen": Cleaning(1.0, 1.0, "enclosed"),
        "stomach": Cleaning(0.10, 1.0, "in slices"),
        "adrenal_gland_left": Cleaning(0.30, 0.1, "open", 5.0),
        "adrenal_gland_right": Cleaning(0.30, 0.1, "open", 5.0),
        "bladder": Cleaning(1.0, 1.0, "in slices"),
        "celiac_trunk": Cleaning(0.30, 0.05, "open"),
        "colon": Cleaning(0.02, 1.0, "in slices"),
        "duodenum": Cleaning(0.15, 0.5, "in slices"),
        "esophagus": Cleaning(0.15, 0.3, "in slices"),
        "femur_left": Cleaning(0.20, 2.0, "in slices", 15.0),
        "femur_right": Cleaning(0.20, 2.0, "in slices", 15.0),
        "hepatic_vessel": Cleaning(0.01, 0.1, "open"),
        "intestine": Cleaning(0.01, 0.5, "in slices"),
        "lung_left": Cleaning(0.05, 5.0, "in slices", 40.0),
        "lung_right": Cleaning(0.05, 5.0, "in slices", 40.0),
        "portal_vein_and_splenic_vein": Cleaning(0.10, 0.3, "open"),
        "prostate": Cleaning(1.0, 1.0, "enclosed"),
        "rectum": Cleaning(0.20, 1.0, "in slices"),
    }
)
"""Structures with rules of their own; other organs are `ORGAN`, lesions are `LESION`."""


def cleaning_of(structure: str) -> Cleaning:
    """The rules for a row of the structure table."""
    return CLEANING.get(structure, LESION if by_name(structure).kind == "lesion" else ORGAN)


def clean(voxels: np.ndarray, cleaning: Cleaning, *, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Pieces, then holes. (I, J, K) bool, axes in RAS order."""
    kept = keep_pieces(
        voxels, least_share=cleaning.least_share, least_ml=cleaning.least_ml, voxel_ml=_millilitres(spacing_mm)
    )
    if cleaning.holes == "enclosed":
        return fill_enclosed(kept)
    if cleaning.holes == "in slices":
        return fill_in_slices(kept, largest=LARGEST_HOLE_CM2 * 100 / (spacing_mm[0] * spacing_mm[1]))
    return kept


def keep_pieces(voxels: np.ndarray, *, least_share: float, least_ml: float, voxel_ml: float) -> np.ndarray:
    """The 26-connected pieces of at least `least_ml` and of a share of the largest; of 1, the largest alone."""
    box = box_around(voxels)
    if box is None:
        return voxels
    # One empty voxel more along each axis, for cc3d 4.1 fails on a single row.
    inside = np.pad(voxels[box], [(0, 1)] * 3)
    labels, count = cc3d.connected_components(inside, connectivity=26, return_N=True)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    stays = (sizes >= least_share * sizes.max()) & (sizes * voxel_ml >= least_ml)
    stays[0] = False
    if least_share >= 1:
        stays &= np.arange(count + 1) == int(sizes.argmax())
    kept = np.zeros_like(voxels)
    kept[box] = stays[labels][:-1, :-1, :-1]
    return kept


def label_pieces(voxels: np.ndarray) -> tuple[np.ndarray, int]:
    """(I, J, K) numbers from 1 of the 26-connected pieces of (I, J, K) bool, and how many there are."""
    # Of bool arrays of a few voxels cc3d 4.1 takes too little memory and fails; of uint8 it does not.
    labels, count = cc3d.connected_components(
        np.ascontiguousarray(voxels).view(np.uint8), connectivity=26, return_N=True
    )
    return labels, count


def fill_enclosed(voxels: np.ndarray) -> np.ndarray:
    """Fill what is closed all around; what is open to the end of the array is no hole."""
    box = box_around(voxels)
    if box is None:
        return voxels
    inside = voxels[box]
    outside = np.pad(~inside, 1, constant_values=True)
    labels = cc3d.connected_components(outside, connectivity=6)
    filled = voxels.copy()
    filled[box] = (labels != labels[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return filled


def fill_in_slices(voxels: np.ndarray, *, largest: float) -> np.ndarray:
    """Fill holes of at most `largest` pixels that are closed within their slice of the last axis."""
    box = box_around(voxels)
    if box is None:
        return voxels
    inside = np.pad(voxels[box], ((1, 1), (1, 1), (0, 0)))
    filled = inside.copy()
    for k in range(inside.shape[2]):
        labels, count = cc3d.connected_components(np.ascontiguousarray(~inside[:, :, k]), connectivity=4, return_N=True)
        if count < 2:
            continue
        sizes = np.bincount(labels.ravel(), minlength=count + 1)
        holes = sizes <= largest
        holes[[0, labels[0, 0]]] = False
        filled[:, :, k] |= holes[labels]
    result = voxels.copy()
    result[box] = filled[1:-1, 1:-1]
    return result


def keep_side(voxels: np.ndarray, beyond_mm: np.ndarray, *, crossing_mm: float) -> np.ndarray:
    """Cut off what reaches more than `crossing_mm` over the midline.

    `beyond_mm` (I,) is how far each position of the first axis lies on the other side, negative on the own one.
    """
    return voxels & (beyond_mm <= crossing_mm)[:, None, None]


def grown(voxels: np.ndarray) -> np.ndarray:
    """The voxels and all that touch them, corners included."""
    result = voxels
    for axis in range(3):
        wider = result.copy()
        low, high = [slice(None)] * 3, [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        wider[tuple(low)] |= result[tuple(high)]
        wider[tuple(high)] |= result[tuple(low)]
        result = wider
    return result


def _millilitres(spacing_mm: tuple[float, float, float]) -> float:
    return spacing_mm[0] * spacing_mm[1] * spacing_mm[2] / 1000
