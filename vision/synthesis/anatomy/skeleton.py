"""Bones and muscles of the back, drawn where a label map has none: vertebrae, ribs, sternum, pelvis, psoas."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from vision.synthesis.anatomy.regrid import SPACING_MM
from vision.synthesis.anatomy.tissues import Tissue
from vision.synthesis.anatomy.trunk import Trunk, around, from_back, voxels

PITCH_MM, DISC_MM = 34.0, 8.0
RIB_PITCH_MM, RIB_HEIGHT_MM, RIB_DROP_MM = 25.0, 10.5, 135.0
BONES = (Tissue.BONE_UNSPECIFIED, Tissue.BONE_CORTICAL, Tissue.BONE_SPONGIOSA)


def lacks_bones(tissues: np.ndarray) -> bool:
    """Whether no vertebra is labelled; a few hip bones alone do not make a skeleton."""
    count = np.bincount(tissues.ravel(), minlength=256)
    spine = count[Tissue.SPINAL_CORD] + count[Tissue.CARTILAGE_OR_DISC] + count[Tissue.MUSCLE]
    return bool(spine * SPACING_MM**3 < 100_000)


def _spine_line(tissues: np.ndarray) -> np.ndarray:
    """(K, 2) centres of the vertebral bodies: before the cord, else behind the aorta, else amid the kidneys."""
    cord, aorta = tissues == Tissue.SPINAL_CORD, tissues == Tissue.AORTA
    organs = np.flatnonzero((tissues > 0).any((1, 2)))
    middle = (organs[0] + organs[-1]) / 2
    if cord.sum() > 1000:
        return _followed(cord, 50) + np.array([0, voxels(25)])
    if aorta.sum() > 500:
        line = _followed(aorta, 10) - np.array([0, voxels(21)])
        line[:, 0] += np.clip(middle - line[:, 0], -voxels(16), voxels(16))
    else:
        kidneys = np.argwhere(np.isin(tissues, (Tissue.KIDNEY_LEFT, Tissue.KIDNEY_RIGHT)))
        line = np.tile((middle, kidneys[:, 1].mean() if len(kidneys) else voxels(130)), (tissues.shape[2], 1))
    line[:, 1] = np.minimum(line[:, 1], _between_lungs(tissues))
    return ndimage.gaussian_filter1d(line, voxels(20), axis=0, mode="nearest")


def _followed(inside: np.ndarray, back_percent: float) -> np.ndarray:
    """(K, 2) smooth mean x, and a percentile of y, of what is inside each slice."""
    line = np.full((inside.shape[2], 2), np.nan)
    for k in np.flatnonzero(inside.any((0, 1))):
        points = np.argwhere(inside[:, :, k])
        line[k] = points[:, 0].mean(), np.percentile(points[:, 1], back_percent)
    known = np.flatnonzero(~np.isnan(line[:, 0]))
    where = np.arange(len(line))
    smooth = np.stack([np.interp(where, known, ndimage.median_filter(line[known, a], 31)) for a in range(2)], 1)
    return ndimage.gaussian_filter1d(smooth, voxels(35), axis=0, mode="nearest")


def _sacrum_from(tissues: np.ndarray) -> tuple[int, int]:
    """The slices where the sacrum begins to recede and where the coccyx ends; labelled hip bones hold both."""
    femurs = np.flatnonzero(np.isin(tissues, (Tissue.FEMUR_LEFT, Tissue.FEMUR_RIGHT)).any((0, 1)))
    if (tissues == Tissue.BONE_UNSPECIFIED).any():
        hips = np.flatnonzero((tissues == Tissue.BONE_UNSPECIFIED).any((0, 1)))
        return 0, int(hips[-1] - voxels(45))
    if not len(femurs):
        return 0, 0
    return int(femurs[-1] + voxels(95)), int(femurs[-1] + voxels(5))


def _between_lungs(tissues: np.ndarray) -> np.ndarray:
    """(K,) how far forward a vertebra's centre may lie: 42 mm before the back of the lungs; no limit without lungs."""
    lungs = np.isin(tissues, (Tissue.LUNG_LEFT, Tissue.LUNG_RIGHT))
    limit = np.full(tissues.shape[2], np.inf)
    for k in np.flatnonzero(lungs.sum((0, 1)) > 3000):
        limit[k] = np.flatnonzero(lungs[:, :, k].sum(0) > 8)[0] + voxels(42)
    return limit


def _ellipse(x: np.ndarray, y: np.ndarray, half: tuple[float, float]) -> np.ndarray:
    return (x / half[0]) ** 2 + (y / half[1]) ** 2 < 1


def draw_spine(tissues: np.ndarray, rng: np.random.Generator) -> None:
    """Draw vertebrae with discs, canal and processes, and the muscles beside them, into unlabelled voxels, in place."""
    line = _spine_line(tissues)
    phase = rng.uniform(0, PITCH_MM)
    kidneys = np.flatnonzero(np.isin(tissues, (Tissue.KIDNEY_LEFT, Tissue.KIDNEY_RIGHT)).any((0, 1)))
    lumbar_top = int(kidneys[-1]) if len(kidneys) else tissues.shape[2] // 2
    scale = rng.uniform(0.92, 1.1)
    recede, end = _sacrum_from(tissues)
    recede = min(recede, len(line))
    line[:recede, 1] -= 0.7 * np.arange(recede, 0, -1)
    for k in range(end, tissues.shape[2]):
        x = ((np.arange(tissues.shape[0]) - line[k, 0])[:, None] * SPACING_MM) / scale
        y = ((np.arange(tissues.shape[1]) - line[k, 1])[None, :] * SPACING_MM) / scale
        below = (lumbar_top - k) * SPACING_MM
        _draw_level(tissues[:, :, k], (x, y), level=(k * SPACING_MM + phase) % PITCH_MM, below_mm=below)


def _draw_level(plane: np.ndarray, place: tuple[np.ndarray, np.ndarray], *, level: float, below_mm: float) -> None:
    """One slice of the back, in place; `place` in mm from the vertebral body's centre."""
    x, y = place
    free = np.isin(plane, (Tissue.AIR, Tissue.BODY_OTHER))
    lumbar = float(np.clip((below_mm + 60) / 160, 0, 1))
    wide, deep = 17 + 7 * lumbar, 14 + 3 * lumbar
    back = -deep - 8
    body = _ellipse(x, y, (wide, deep))
    canal = _ellipse(x, y - back, (10.5, 8))
    arch = _ellipse(x, y - back, (15.5, 13)) & (y < -deep + 4)
    spinous = (np.abs(x) < 3.2) & (y < back - 6) & (y > back - 34) & (5 < level < 26)
    transverse = (np.abs(y - back - 2) < 4.5) & (np.abs(x) < 34 - 6 * lumbar) & (12 < level < 22)
    facet = _ellipse(np.abs(x) - 15, y - back + 4, (7, 8)) & ((level < 12) | (level > 26))
    bone = body | arch | spinous | transverse | facet
    erector = _ellipse(np.abs(x) - 27, y - back + 12, (24, 15 + 6 * lumbar))
    multifidus = _ellipse(np.abs(x) - 12, y - back + 18, (11, 14))
    psoas = _ellipse(np.abs(x) - wide - 13 * lumbar, y + 3, (6 + 14 * lumbar, 8 + 14 * lumbar)) & (below_mm > 0)
    lumborum = _ellipse(np.abs(x) - 62, y - back - 2, (17, 9)) & (-10 < below_mm < 120)
    crura = _ellipse(np.abs(x) - 16, y - deep - 2, (8, 6)) & (below_mm < 40)
    for region, code in (
        (erector | multifidus | psoas | lumborum | crura, Tissue.MUSCLE),
        (bone, Tissue.BONE_UNSPECIFIED),
        (canal, Tissue.SPINAL_CORD),
    ):
        plane[region & free] = code
    if level < DISC_MM:
        plane[body & free] = Tissue.CARTILAGE_OR_DISC


def draw_ribs(tissues: np.ndarray, trunk: Trunk, rng: np.random.Generator) -> None:
    """Draw ribs that fall from back to front, their cartilage and the sternum, into the wall's muscle, in place."""
    kidneys = np.flatnonzero(np.isin(tissues, (Tissue.KIDNEY_LEFT, Tissue.KIDNEY_RIGHT)).any((0, 1)))
    livers = np.flatnonzero((tissues == Tissue.LIVER).any((0, 1)))
    twelfth = float(kidneys.mean()) * SPACING_MM + rng.uniform(0, 20) if len(kidneys) else 0.0
    sternum_from = (int(livers[-1]) if len(livers) else tissues.shape[2]) - voxels(35)
    for k, radius, direction in trunk.slices(tissues.shape):
        back = from_back(direction)
        number = (k * SPACING_MM + RIB_DROP_MM * back**0.8 - twelfth) / RIB_PITCH_MM
        limit = np.interp(np.floor(number), [-1, 0, 1, 2, 3], [0, 0.4, 0.55, 0.8, 0.93])
        beyond = (radius - around(trunk.cavity[k], direction)) * SPACING_MM
        along = (number % 1 - 0.5) * RIB_PITCH_MM
        oval = (along / (RIB_HEIGHT_MM / 2)) ** 2 + ((beyond - 5.5) / 4.2) ** 2 < 1
        plane = tissues[:, :, k]
        muscle = plane == Tissue.MUSCLE
        rib = oval & muscle & (number > 0) & (back < limit) & (back > 0.08)
        plane[rib & (back > 0.74)] = Tissue.COSTAL_CARTILAGE
        plane[rib & (back <= 0.74)] = Tissue.BONE_UNSPECIFIED
        if k > sternum_from:
            plane[(np.abs(beyond - 5.5) < 4.5) & muscle & (back > 0.955)] = Tissue.BONE_UNSPECIFIED


def draw_pelvis(tissues: np.ndarray, trunk: Trunk) -> None:
    """Draw iliac wings, sockets and sacrum around femurs that lie alone, into muscle and fat, in place."""
    femurs = np.isin(tissues, (Tissue.FEMUR_LEFT, Tissue.FEMUR_RIGHT))
    if femurs.sum() * SPACING_MM**3 < 20_000:
        return
    top = int(np.flatnonzero(femurs.any((0, 1)))[-1])
    for k, radius, direction in trunk.slices(tissues.shape):
        above = (k - top) * SPACING_MM
        if not -10 < above < 115:
            continue
        high = above / 115
        back = from_back(direction)
        wing = (back > 0.12 + 0.05 * high) & (back < 0.36 + 0.26 * high)
        beyond = radius - around(trunk.cavity[k], direction)
        plane = tissues[:, :, k]
        soft = np.isin(plane, (Tissue.MUSCLE, Tissue.FAT))
        plane[soft & wing & (beyond > voxels(0)) & (beyond < voxels(10))] = Tissue.BONE_UNSPECIFIED
    _draw_sockets(tissues, femurs, top)


def _draw_sockets(tissues: np.ndarray, femurs: np.ndarray, top: int) -> None:
    """Bone 9 mm thick around the inner half of each femoral head, a joint's width away, in place."""
    span = slice(max(0, top - round(voxels(42))), top + round(voxels(12)))
    part = tissues[:, :, span]
    near = ndimage.distance_transform_edt(~femurs[:, :, span], sampling=SPACING_MM)
    x = np.arange(part.shape[0])[:, None, None]
    middle = np.argwhere(femurs)[:, 0].mean()
    heads = femurs[:, :, max(0, top - round(voxels(30))) : top].any((1, 2))
    reach = np.abs(np.flatnonzero(heads) - middle)
    inner = np.abs(x - middle) < np.median(reach)
    part[(near > 3) & (near < 12) & inner & np.isin(part, (Tissue.MUSCLE, Tissue.FAT))] = Tissue.BONE_UNSPECIFIED


def fill_spine(tissues: np.ndarray) -> None:
    """Fill the gaps of a labelled spine, in place: discs between vertebrae and the canal behind them.

    Where bones within 30 mm of the midline lie at most 12 mm apart from below to above, a disc lies between.
    """
    bones = np.isin(tissues, BONES)
    across = np.flatnonzero(bones.any((1, 2)))
    if not len(across):
        return
    middle = int(np.median(np.nonzero(bones)[0]))
    span = slice(max(0, middle - round(voxels(30))), middle + round(voxels(30)))
    part, bone = tissues[span], bones[span]
    free = np.isin(part, (Tissue.AIR, Tissue.FAT))
    joined = ndimage.binary_closing(bone, structure=np.ones((1, 1, 9), dtype=bool))
    part[joined & free & ~bone] = Tissue.CARTILAGE_OR_DISC
    ring = ndimage.binary_closing(joined, structure=np.ones((3, 3, 5), dtype=bool))
    for k in range(part.shape[2]):
        canal = ndimage.binary_fill_holes(ring[:, :, k]) & ~ring[:, :, k]
        part[:, :, k][canal & np.isin(part[:, :, k], (Tissue.AIR, Tissue.FAT))] = Tissue.SPINAL_CORD
