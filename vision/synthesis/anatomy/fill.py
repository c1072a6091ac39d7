"""Give every voxel of the body a tissue: layers of fat and muscle, skin, and lungs and heart that a map lacks."""

from __future__ import annotations

import cc3d
import numpy as np
from scipy import ndimage

from vision.geometry import box_around
from vision.synthesis.anatomy.carve import depth_mm
from vision.synthesis.anatomy.tissues import Tissue
from vision.synthesis.anatomy.trunk import Trunk, around, voxels

LUNGS = (Tissue.LUNG_LEFT, Tissue.LUNG_RIGHT, Tissue.DRAWN_LUNG)
_HEART_ML = 100_000 / 1.5**3
RAGGED = 0.95


def fill_layers(tissues: np.ndarray, trunk: Trunk) -> None:
    """Fill what is free within the skin, in place: fat in the cavity, muscle around, fat below the skin.

    Around the hips all of the wall is muscle, above them only a layer around the cavity.

    A body whose outline was labelled is filled to that outline; a fat that was labelled as one is split in two.
    """
    femurs = np.isin(tissues, (Tissue.FEMUR_LEFT, Tissue.FEMUR_RIGHT)).any((0, 1))
    hips = int(np.flatnonzero(femurs)[-1] + voxels(90)) if femurs.any() else 0
    outlined = bool(np.isin(tissues, (Tissue.BODY_OTHER, Tissue.SKIN)).any())
    for k, radius, direction in trunk.slices(tissues.shape):
        plane = tissues[:, :, k]
        muscle = trunk.wall if k < hips else trunk.muscle
        profiles = (trunk.cavity, muscle, trunk.wall, trunk.skin)
        cavity, reach, wall, skin = (around(profile[k], direction) for profile in profiles)
        body = ndimage.binary_fill_holes(plane > 0) if outlined else (radius < skin) | (plane > 0)
        free = body & np.isin(plane, (Tissue.AIR, Tissue.BODY_OTHER))
        plane[free] = np.where(
            radius < cavity, Tissue.FAT, np.where(radius < reach, Tissue.MUSCLE, Tissue.SUBCUTANEOUS_FAT)
        )[free]
        plane[(plane == Tissue.FAT) & (radius > wall)] = Tissue.SUBCUTANEOUS_FAT


def draw_skin(tissues: np.ndarray) -> None:
    """Turn the outermost voxels of the body into skin, in place, and close what air a slice of the body still holds."""
    for k in range(tissues.shape[2]):
        plane = tissues[:, :, k]
        body = ndimage.binary_fill_holes(plane > 0)
        plane[body & (plane == Tissue.AIR)] = Tissue.FAT
        rim = body & ~ndimage.binary_erosion(body, border_value=1)
        plane[rim & np.isin(plane, (Tissue.FAT, Tissue.SUBCUTANEOUS_FAT, Tissue.MUSCLE))] = Tissue.SKIN


def keep_trunk(tissues: np.ndarray) -> None:
    """Drop arms, in place: an outlined body reaches 50 mm beside its liver and spleen, and is one part in a slice."""
    organs = np.isin(tissues, (Tissue.LIVER, Tissue.SPLEEN))
    if not (tissues == Tissue.BODY_OTHER).any() or not organs.any():
        return
    across, along = np.flatnonzero(organs.any((1, 2))), np.flatnonzero(organs.any((0, 1)))
    low, high = round(across[0] - voxels(50)), round(across[-1] + voxels(50))
    tissues[: max(0, low), :, along[0] :] = Tissue.AIR
    tissues[high:, :, along[0] :] = Tissue.AIR
    for k in range(tissues.shape[2]):
        plane = tissues[:, :, k]
        body = ndimage.binary_opening(plane > 0, iterations=4)
        parts = cc3d.connected_components(np.ascontiguousarray(body), connectivity=4)
        if parts.max() > 1:
            largest = int(np.bincount(parts.ravel())[1:].argmax()) + 1
            plane[~ndimage.binary_dilation(parts == largest, iterations=5)] = Tissue.AIR


def draw_lungs(tissues: np.ndarray, trunk: Trunk) -> None:
    """Where a map reaches above the liver and has no lungs, turn the cavity's fat there into lung, in place."""
    upper = np.isin(tissues, (Tissue.LIVER, Tissue.SPLEEN))
    if np.isin(tissues, LUNGS).any() or not upper.any():
        return
    rows = np.flatnonzero((tissues == Tissue.LIVER).any((0, 1)))
    dome = int(rows[-1])
    column_top = np.where(upper.any(2), tissues.shape[2] - 1 - upper[:, :, ::-1].argmax(2), -1)
    for k, radius, direction in trunk.slices(tissues.shape):
        if k < dome - voxels(75):
            continue
        wall = around(trunk.wall[k], direction)
        chest = np.maximum(around(trunk.cavity[k], direction), wall - voxels(17))
        x = np.arange(tissues.shape[0])[:, None] - trunk.centre[k, 0]
        y = np.arange(tissues.shape[1])[None, :] - trunk.centre[k, 1]
        mediastinum = (np.abs(x) < voxels(32)) & (y > -voxels(95))
        height = dome - voxels(75) * np.clip(radius / np.maximum(chest, 1), 0, 1) ** 2
        above = (k > height) & (k > column_top + 1)
        plane = tissues[:, :, k]
        free = np.isin(plane, (Tissue.FAT, Tissue.MUSCLE, Tissue.BODY_OTHER, Tissue.AIR))
        plane[free & above & ~mediastinum & (radius < chest)] = Tissue.DRAWN_LUNG


def draw_heart(tissues: np.ndarray) -> None:
    """Where lungs leave a large room between them and no heart is labelled, draw one into its fat, in place."""
    count = np.bincount(tissues.ravel(), minlength=256)
    if count[Tissue.HEART] + count[Tissue.HEART_BLOOD] > _HEART_ML / 10 or not count[list(LUNGS)].any():
        return
    livers = np.flatnonzero((tissues == Tissue.LIVER).any((0, 1)))
    low = int(livers[-1] - voxels(45)) if len(livers) else 0
    chest = tissues[:, :, low:]
    box = box_around(np.isin(chest, LUNGS))
    if box is None:
        return
    part = chest[box]
    room = part == Tissue.FAT
    heart = ndimage.gaussian_filter((depth_mm(room) > 9).astype(np.float32), 5) > 0.25
    part[heart & room & (depth_mm(room) > 3)] = Tissue.HEART


def fill_heart(tissues: np.ndarray) -> None:
    """Fill a heart that was labelled by its walls only, in an outlined body, with blood, in place."""
    box = box_around(tissues == Tissue.HEART, 4)
    if box is None or not (tissues == Tissue.BODY_OTHER).any():
        return
    part = tissues[box]
    whole = ndimage.binary_closing(part == Tissue.HEART, iterations=4)
    for k in range(whole.shape[2]):
        whole[:, :, k] = ndimage.binary_fill_holes(whole[:, :, k])
    part[whole & np.isin(part, (Tissue.AIR, Tissue.BODY_OTHER))] = Tissue.HEART_BLOOD


def drop_ragged_lungs(tissues: np.ndarray) -> set[str]:
    """Unlabel lungs that are flecks rather than a whole, in place; returns the names that are unknown then.

    Opening a whole lung by 1.5 mm leaves 99 % of it.
    """
    lungs = np.isin(tissues, (Tissue.LUNG_LEFT, Tissue.LUNG_RIGHT))
    if not lungs.any() or ndimage.binary_opening(lungs).sum() > RAGGED * lungs.sum():
        return set()
    tissues[lungs] = Tissue.AIR
    return {"lung_left", "lung_right"}
