"""From a label map to a whole body: what it lacks is drawn, what it knows is said."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import cc3d
import numpy as np
from scipy import ndimage

from vision.synthesis.anatomy.carve import carve_contents, carve_kidneys, draw_loops, draw_vessels
from vision.synthesis.anatomy.fill import (
    draw_heart,
    draw_lungs,
    draw_skin,
    drop_ragged_lungs,
    fill_heart,
    fill_layers,
    keep_trunk,
)
from vision.synthesis.anatomy.regrid import SPACING_MM, to_isotropic
from vision.synthesis.anatomy.skeleton import draw_pelvis, draw_ribs, draw_spine, fill_spine, lacks_bones
from vision.synthesis.anatomy.tissues import Tissue, belongs_to
from vision.synthesis.anatomy.trees import draw_liver_vessels
from vision.synthesis.anatomy.trunk import measure_trunk, voxels

LEAST_ML = {
    "aorta": 15, "gall_bladder": 3, "kidney_left": 35, "kidney_right": 35, "liver": 300, "pancreas": 20,
    "postcava": 10, "spleen": 50, "stomach": 40, "adrenal_gland_left": 1.2, "adrenal_gland_right": 1.2,
    "bladder": 15, "celiac_trunk": 0.2, "colon": 100, "duodenum": 15, "esophagus": 4, "femur_left": 20,
    "femur_right": 20, "hepatic_vessel": 3, "intestine": 100, "lung_left": 100, "lung_right": 100,
    "portal_vein_and_splenic_vein": 5, "prostate": 5, "rectum": 10,
}  # fmt: skip
"""A structure with less than this in a map was missed, is a remnant or lies at the very end of the scan: unknown."""

ABOVE_LIVER_MM, BELOW_PELVIS_MM = 130.0, 60.0
_ROOM_MM, _SIDE_MM, _BACK_MM = 90.0, 15.0, 33.0
_TUBES = (Tissue.AORTA, Tissue.POSTCAVA, Tissue.PORTAL_VEIN_AND_SPLENIC_VEIN, Tissue.ARTERY_OTHER, Tissue.VEIN_OTHER)
_LOW = (Tissue.PROSTATE, Tissue.RECTUM, Tissue.BLADDER, Tissue.RECTUM_CONTENT, Tissue.BLADDER_CONTENT, Tissue.UTERUS)
_KEPT = {Tissue.AIR, Tissue.BODY_OTHER, Tissue.HEPATIC_VESSEL, Tissue.CELIAC_TRUNK}


@dataclass(frozen=True)
class Anatomy:
    """One completed label map in RAS order, 1.5 mm isotropic.

    `tissues` (I, J, K) uint8: codes of `Tissue`; every voxel of the body has one, 0 is the air around it.
    `annotated`: the structures whose voxels, or whose absence, this map knows.
    """

    tissues: np.ndarray
    annotated: frozenset[str]


def complete_anatomy(labels: np.ndarray, spacing_mm: tuple[float, float, float], structures: frozenset[str]) -> Anatomy:
    """Complete a label map: (I, J, K) uint8 tissue codes in RAS order, 0 where nothing is labelled.

    `structures` are those that the map is said to hold. The same labels give the same anatomy. Raises ValueError for
    a map without any label.
    """
    if not labels.any():
        raise ValueError("a label map to complete holds at least one label")
    rng = np.random.default_rng(zlib.crc32(np.ascontiguousarray(labels).tobytes()))
    tissues = to_isotropic(labels, spacing_mm)
    _clean(tissues)
    tissues = _in_reach(tissues)
    split = _split_rectum(tissues, structures)
    unsure = split | drop_ragged_lungs(tissues)
    bare = lacks_bones(tissues)
    hipless = bare and not (tissues == Tissue.BONE_UNSPECIFIED).any()
    if bare:
        draw_spine(tissues, rng)
    else:
        fill_spine(tissues)
    trunk = measure_trunk(tissues, rng)
    fill_layers(tissues, trunk)
    if hipless:
        draw_pelvis(tissues, trunk)
    draw_lungs(tissues, trunk)
    if bare:
        draw_ribs(tissues, trunk, rng)
    draw_heart(tissues)
    known = known_structures(tissues, structures) - unsure
    if "intestine" not in known and not np.isin(tissues, (Tissue.COLON_AND_SMALL_BOWEL, Tissue.INTESTINE)).any():
        draw_loops(tissues, trunk, rng)
    carve_kidneys(tissues, rng)
    carve_contents(tissues, rng)
    draw_liver_vessels(tissues, rng)
    draw_vessels(tissues, rng)
    draw_skin(tissues)
    return Anatomy(_cropped(tissues), known)


def known_structures(tissues: np.ndarray, structures: frozenset[str]) -> frozenset[str]:
    """Those of `structures` that are there in earnest, and a prostate that is known to be absent.

    A small bowel that holds the duodenum, vessels left unnamed beside a stub of the vena cava: such are unknown.
    """
    present = np.bincount(tissues.ravel(), minlength=256)
    millilitre = SPACING_MM**3 / 1000
    known = {name for name in structures if belongs_to(tissues, name).sum() * millilitre >= LEAST_ML[name]}
    if present[Tissue.STOMACH_AND_DUODENUM]:
        known -= {"stomach", "duodenum"}
    if present[Tissue.COLON_AND_SMALL_BOWEL]:
        known -= {"colon", "intestine", "rectum"}
    if present[Tissue.ADRENAL_GLANDS]:
        known -= {"adrenal_gland_left", "adrenal_gland_right"}
    if present[Tissue.VESSEL_UNSPECIFIED]:
        known -= {"postcava"}
    if "intestine" in known and "duodenum" not in structures:
        known -= {"intestine"}
    if present[Tissue.UTERUS]:
        known |= {"prostate"}
    return frozenset(known)


def _clean(tissues: np.ndarray) -> None:
    """Drop arms, crumbs and stray femurs, and close holes of vessels that were labelled by their surface, in place.

    Where femurs are decides where the pelvis is, so that a few voxels of one must not stand.
    """
    keep_trunk(tissues)
    fill_heart(tissues)
    crumb = int(250 / SPACING_MM**3)
    for code in np.unique(tissues):
        if code in _KEPT:
            continue
        parts, count = cc3d.connected_components(tissues == code, connectivity=26, return_N=True)
        if count > 1:
            sizes = np.bincount(parts.ravel())
            sizes[0] = sizes[1:].max()
            small = sizes < min(crumb, sizes[0])
            tissues[small[parts]] = Tissue.BODY_OTHER if (tissues == Tissue.BODY_OTHER).any() else Tissue.AIR
    for code, name in ((Tissue.FEMUR_LEFT, "femur_left"), (Tissue.FEMUR_RIGHT, "femur_right")):
        stray = tissues == code
        if stray.sum() * SPACING_MM**3 / 1000 < LEAST_ML[name]:
            tissues[stray] = Tissue.BODY_OTHER if (tissues == Tissue.BODY_OTHER).any() else Tissue.AIR
    for code in _TUBES:
        for k in np.flatnonzero((tissues == code).any((0, 1))):
            plane = tissues[:, :, k]
            holes = ndimage.binary_fill_holes(plane == code) & (plane != code)
            parts, count = cc3d.connected_components(np.ascontiguousarray(holes), connectivity=4, return_N=True)
            small = np.bincount(parts.ravel()) * SPACING_MM**2 < 900
            small[0] = False
            plane[small[parts]] = code


def _in_reach(tissues: np.ndarray) -> np.ndarray:
    """Cut a map well above the liver and below the pelvis, and give it room for the body around."""
    livers = np.flatnonzero((tissues == Tissue.LIVER).any((0, 1)))
    lows = np.flatnonzero(np.isin(tissues, _LOW).any((0, 1)))
    top = int(livers[-1] + voxels(ABOVE_LIVER_MM)) if len(livers) else tissues.shape[2]
    bottom = max(0, int(lows[0] - voxels(BELOW_PELVIS_MM))) if len(lows) else 0
    room = round(voxels(_ROOM_MM))
    return np.pad(tissues[:, :, bottom:top], ((room, room), (room, room), (0, 0)))


def _split_rectum(tissues: np.ndarray, structures: frozenset[str]) -> set[str]:
    """Where the colon of a map holds the rectum, cut it off at the third sacral vertebra, in place.

    That lies about 45 mm above the femoral heads and within 45 mm of the midline, behind the bladder. Returns
    'rectum' then, whose upper end is a guess.
    """
    femurs = np.isin(tissues, (Tissue.FEMUR_LEFT, Tissue.FEMUR_RIGHT))
    if "rectum" in structures or "colon" not in structures or not femurs.any():
        return set()
    level = int(np.flatnonzero(femurs.any((0, 1)))[-1] + voxels(45))
    across = np.flatnonzero(femurs.any((1, 2)))
    middle = (across[0] + across[-1]) / 2
    part = tissues[:, :, :level]
    central = np.abs(np.arange(part.shape[0]) - middle)[:, None, None] < voxels(45)
    bladder = np.argwhere(part == Tissue.BLADDER)
    front = float(bladder[:, 1].mean()) if len(bladder) else part.shape[1]
    behind = np.arange(part.shape[1])[None, :, None] < front
    part[(part == Tissue.COLON) & central & behind] = Tissue.RECTUM
    return {"rectum"}


def _cropped(tissues: np.ndarray) -> np.ndarray:
    """The body with air around it: more behind, where the table is."""
    body = tissues > 0
    spans = []
    for axis, (before, after) in enumerate(((_SIDE_MM, _SIDE_MM), (_BACK_MM, _SIDE_MM))):
        hits = np.flatnonzero(body.any(axis=(1 - axis, 2)))
        low = max(0, int(hits[0] - voxels(before)))
        spans.append(slice(low, min(body.shape[axis], int(hits[-1] + 1 + voxels(after)))))
    return np.ascontiguousarray(tissues[spans[0], spans[1]])
