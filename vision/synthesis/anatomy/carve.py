"""What lies inside an organ: walls and contents, cortex and medulla, vessels, and bowel in fat that nobody labelled."""

from __future__ import annotations

import edt
import numpy as np
from scipy import ndimage

from vision.geometry import box_around
from vision.synthesis.anatomy.noise import smooth_field, tubes
from vision.synthesis.anatomy.regrid import SPACING_MM
from vision.synthesis.anatomy.tissues import WALL_AND_CONTENT, Tissue
from vision.synthesis.anatomy.trunk import Trunk, around, voxels

KIDNEYS = (
    (Tissue.KIDNEY_LEFT, Tissue.KIDNEY_LEFT_MEDULLA, Tissue.KIDNEY_LEFT_PELVIS),
    (Tissue.KIDNEY_RIGHT, Tissue.KIDNEY_RIGHT_MEDULLA, Tissue.KIDNEY_RIGHT_PELVIS),
)
_FOLDED = (Tissue.COLON, Tissue.STOMACH, Tissue.LOOP_WALL, Tissue.INTESTINE, Tissue.COLON_AND_SMALL_BOWEL)


def depth_mm(inside: np.ndarray) -> np.ndarray:
    """Distance in mm to the nearest voxel outside; the end of the scan is no outside."""
    return edt.edt(np.asfortranarray(inside), anisotropy=(SPACING_MM,) * 3)


def carve_contents(tissues: np.ndarray, rng: np.random.Generator) -> None:
    """Split hollow organs and bones into shell and inside, in place, unless the map came with the inside."""
    present = np.bincount(tissues.ravel(), minlength=256)
    for shell, content, thickness in WALL_AND_CONTENT:
        if present[content] > 100 and shell != Tissue.BONE_UNSPECIFIED:
            continue
        box = box_around(tissues == shell, 2)
        if box is None:
            continue
        inside = tissues[box] == shell
        depth = depth_mm(inside)
        if shell in _FOLDED:
            depth += 0.9 * smooth_field(depth.shape, 3.0, rng)
        tissues[box][inside & (depth > thickness)] = content


def carve_kidneys(tissues: np.ndarray, rng: np.random.Generator) -> None:
    """Give kidneys a cortex of 5 to 8 mm with columns, a medulla inside and a pelvis in the sinus fat, in place."""
    for cortex, medulla, pelvis in KIDNEYS:
        box = box_around(tissues == cortex, 12)
        if box is None or (tissues == medulla).any():
            continue
        part = tissues[box]
        kidney = part == cortex
        whole = _closed(kidney | (part == pelvis), 11.0)
        depth = depth_mm(whole)
        shell = rng.uniform(5.0, 8.0) + 1.6 * smooth_field(depth.shape, 3.5, rng)
        columns = smooth_field(depth.shape, 4.0, rng) > 0.75
        part[kidney & (depth > shell) & ~columns] = medulla
        sinus = whole & np.isin(part, (Tissue.FAT, Tissue.BODY_OTHER, Tissue.AIR)) & (depth > 4)
        part[sinus] = Tissue.FAT
        part[sinus & (smooth_field(depth.shape, 3.5, rng) > 0.5)] = Tissue.RENAL_PELVIS


def _closed(inside: np.ndarray, mm: float) -> np.ndarray:
    """Closing by a ball; distances are measured on a padded box, so that its faces do not count as organ."""
    pad = int(np.ceil(voxels(mm))) + 1
    wide = np.pad(inside, pad)
    grown = edt.edt(np.asfortranarray(~wide), anisotropy=(SPACING_MM,) * 3) <= mm
    kept = edt.edt(np.asfortranarray(grown), anisotropy=(SPACING_MM,) * 3) > mm
    return kept[pad:-pad, pad:-pad, pad:-pad] | inside


def draw_vessels(tissues: np.ndarray, rng: np.random.Generator) -> None:
    """Draw vessels into lungs and mesentery where the map has none there, in place."""
    for lung, vessel in (
        (Tissue.LUNG_LEFT, Tissue.LUNG_LEFT_BLOOD),
        (Tissue.LUNG_RIGHT, Tissue.LUNG_RIGHT_BLOOD),
        (Tissue.DRAWN_LUNG, Tissue.LUNG_VESSEL),
    ):
        if not (tissues == vessel).any():
            _tubes_within(tissues, lung, vessel, rng=rng, width=4.5, radius=0.8, margin_mm=4.0)
    _tubes_within(tissues, Tissue.FAT, Tissue.VESSEL_UNSPECIFIED, rng=rng, width=5.0, radius=1.25, margin_mm=1.6)
    _tubes_within(tissues, Tissue.FAT, Tissue.VESSEL_UNSPECIFIED, rng=rng, width=3.5, radius=0.8, margin_mm=1.6)


def _tubes_within(
    tissues: np.ndarray,
    host: Tissue,
    vessel: Tissue,
    *,
    rng: np.random.Generator,
    width: float,
    radius: float,
    margin_mm: float,
) -> None:
    box = box_around(tissues == host, 1)
    if box is None:
        return
    part = tissues[box]
    inside = part == host
    part[tubes(part.shape, width, radius, rng) & inside & (depth_mm(inside) > margin_mm)] = vessel


def draw_loops(tissues: np.ndarray, trunk: Trunk, rng: np.random.Generator) -> None:
    """Fill free fat of the abdominal cavity with soft loops of bowel, in place; they belong to no structure."""
    free = np.zeros(tissues.shape, dtype=bool)
    livers = np.flatnonzero((tissues == Tissue.LIVER).any((0, 1)))
    top = int(livers[-1] - 0.35 * (livers[-1] - livers[0])) if len(livers) else tissues.shape[2]
    spine = np.isin(tissues, (Tissue.BONE_UNSPECIFIED, Tissue.CARTILAGE_OR_DISC, Tissue.BODY_OTHER))
    for k, radius, direction in trunk.slices(tissues.shape):
        if k > top:
            break
        in_front = np.arange(tissues.shape[1])[None, :] > trunk.centre[k, 1] - voxels(25)
        free[:, :, k] = (radius < around(trunk.cavity[k], direction) - voxels(4)) & in_front
    free &= (tissues == Tissue.FAT) & ~spine
    box = box_around(free, 1)
    if box is None:
        return
    room = free[box] & (depth_mm(free[box]) > 2.5)
    bowel = room & (smooth_field(room.shape, 6.5, rng) > rng.uniform(-0.1, 0.5))
    bowel = ndimage.binary_opening(bowel, iterations=3)
    tissues[box][bowel] = Tissue.LOOP_WALL
