"""The trunk in polar coordinates: how far, slice by slice and direction by direction, cavity, wall and skin reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from vision.synthesis.anatomy.regrid import SPACING_MM
from vision.synthesis.anatomy.tissues import Tissue

ANGLES = 120
FRAME = (Tissue.BONE_UNSPECIFIED, Tissue.BONE_CORTICAL, Tissue.BONE_SPONGIOSA, Tissue.MUSCLE, Tissue.SKIN)
"""Codes of the body wall; everything else that is labelled lies in the cavity."""
_NOT_CAVITY = (*FRAME, Tissue.AIR, Tissue.FAT, Tissue.BODY_OTHER, Tissue.CARTILAGE_OR_DISC, Tissue.SPINAL_CORD)
_UNIT = np.stack([turn(np.arange(ANGLES) * (2 * np.pi / ANGLES)) for turn in (np.cos, np.sin)])
_FEMURS = (Tissue.FEMUR_LEFT, Tissue.FEMUR_RIGHT)
_LIMBS = (Tissue.FEMUR_LEFT, Tissue.FEMUR_RIGHT, Tissue.BREAST_GLANDULAR, Tissue.OVARY_OR_TESTIS)


@dataclass(frozen=True)
class Trunk:
    """Radii in voxels of 1.5 mm; direction 0 points to the patient's Right, a quarter on to Anterior.

    `centre` (K, 2); `cavity`, `muscle`, `wall`, `skin` (K, A): where the peritoneal or pleural cavity, the muscle
    around it, the hull of bones and muscles of the back, and the body end. Each lies outside the one before.
    """

    centre: np.ndarray
    cavity: np.ndarray
    muscle: np.ndarray
    wall: np.ndarray
    skin: np.ndarray

    def slices(self, shape: tuple[int, ...]) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Every k with the radius (I, J) and the direction (I, J), in steps of the profiles, of its voxels."""
        x = np.arange(shape[0], dtype=np.float32)[:, None]
        y = np.arange(shape[1], dtype=np.float32)[None, :]
        for k in range(shape[2]):
            dx, dy = x - np.float32(self.centre[k, 0]), y - np.float32(self.centre[k, 1])
            turn = np.arctan2(dy, dx) * np.float32(ANGLES / (2 * np.pi))
            yield k, np.hypot(dx, dy), turn % ANGLES


def around(profile: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Values (I, J) float32 of one slice's profile (A,) in the directions (I, J) that `Trunk.slices` gives."""
    lower = direction.astype(np.int16) % ANGLES
    part = direction - np.floor(direction)
    values = profile.astype(np.float32)
    return values[lower] * (1 - part) + values[(lower + 1) % ANGLES] * part


def voxels(mm: float) -> float:
    """Millimetres in voxels of the synthesis grid."""
    return mm / SPACING_MM


def from_back(direction: np.ndarray) -> np.ndarray:
    """How far a direction is from the back, 0 there and 1 at the front, both sides alike."""
    return np.abs((direction / ANGLES - 0.25) % 1 - 0.5) * 2


def hull_profile(inside: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(K, A) radius of each slice's convex hull around `centre` (K, 2); NaN where a slice holds too little."""
    profile = np.full((inside.shape[2], ANGLES), np.nan)
    for k in range(inside.shape[2]):
        points = np.argwhere(inside[:, :, k])
        if len(points) < 30:
            continue
        try:
            profile[k] = _radii_of_hull(points, centre[k])
        except QhullError:
            continue
    return profile


def convex(profile: np.ndarray) -> np.ndarray:
    """The profile (K, A) of each slice's convex hull."""
    return np.stack([_radii_of_hull(radii[:, None] * _UNIT.T, np.zeros(2)) for radii in profile])


def _radii_of_hull(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(A,) distances from `centre` (2,) to the hull of `points` (N, 2); 1 where the centre lies outside."""
    faces = ConvexHull(points).equations
    towards = faces[:, :2] @ _UNIT
    reach = -(faces[:, :2] @ centre + faces[:, 2])[:, None]
    radius = np.where(towards > 1e-6, reach / np.maximum(towards, 1e-6), np.inf).min(0)
    return np.maximum(radius, 1.0)


def smoothed(profile: np.ndarray, *, along_mm: float, around: float) -> np.ndarray:
    """A profile (K, A) without gaps, smoothed along the body and around it (`around` in directions)."""
    known = ~np.isnan(profile[:, 0])
    where = np.arange(len(profile))
    filled = np.stack([np.interp(where, where[known], column[known]) for column in profile.T], axis=1)
    filled = ndimage.gaussian_filter1d(filled, voxels(along_mm), axis=0, mode="nearest")
    return ndimage.gaussian_filter1d(filled, around, axis=1, mode="wrap")


def measure_trunk(tissues: np.ndarray, rng: np.random.Generator) -> Trunk:
    """Read a trunk off labelled voxels (I, J, K): hulls of the organs and of the frame, and fat beyond both.

    A scan whose labels thin out towards an end keeps nine tenths of its usual girth there. Where the labels fill a
    body already, its own outline is the skin.
    """
    in_cavity = np.isin(tissues, [code for code in Tissue if code not in (*_NOT_CAVITY, *_LIMBS)])
    centre = _centre_line(in_cavity)
    cavity = hull_profile(_thickened(in_cavity, 12.0), centre)
    usual = _usual_girth(cavity, tissues)
    cavity = smoothed(np.fmax(cavity, 0.92 * usual), along_mm=9.0, around=1.2) + voxels(3)
    layer = _layer_mm(tissues) * rng.uniform(0.75, 1.2) + 2.0 * _ripple(cavity.shape, rng)
    muscle = wall = cavity + voxels(1) * np.maximum(layer, 2.5)
    framed = np.isin(tissues, (*FRAME, *_FEMURS))
    if framed.any():
        frame = hull_profile(_thickened(framed, 6.0), centre) + _buttocks(tissues)[:, None]
        wall = np.fmax(wall, smoothed(frame, along_mm=6.0, around=0.8) + voxels(4))
    outline = np.isin(tissues, (Tissue.BODY_OTHER, Tissue.SKIN))
    if outline.any():
        skin = smoothed(hull_profile(tissues > 0, centre), along_mm=1.5, around=0.5)
        wall = np.minimum(wall, skin - voxels(5))
        return Trunk(centre, np.minimum(cavity, wall - voxels(3)), np.minimum(muscle, wall), wall, skin)
    fat = voxels(rng.uniform(8, 30)) * (1 + 0.35 * _ripple(cavity.shape, rng))
    skin = smoothed(convex(wall) + np.maximum(fat, voxels(5)), along_mm=9.0, around=2.0)
    return Trunk(centre, cavity, muscle, wall, skin)


def _layer_mm(tissues: np.ndarray) -> np.ndarray:
    """(K, A) how thick the wall's muscle is: 13 mm in the chest; below, oblique and straight muscles and seams."""
    livers = np.flatnonzero((tissues == Tissue.LIVER).any((0, 1)))
    costal = float(livers.mean()) if len(livers) else tissues.shape[2] / 2
    where = from_back(np.arange(ANGLES, dtype=np.float64))
    belly = np.interp(where, [0.3, 0.4, 0.7, 0.76, 0.8, 0.85, 0.95, 0.985, 1], [11, 16, 15, 6, 5, 11, 11, 4, 3])
    chest = 1 / (1 + np.exp(-(np.arange(tissues.shape[2]) - costal) / voxels(10)))[:, None]
    return chest * 13.0 + (1 - chest) * belly[None]


def _usual_girth(cavity: np.ndarray, tissues: np.ndarray) -> np.ndarray:
    """(A,) the middle of a cavity's radii (K, A) where the liver lies, or of all."""
    livers = np.flatnonzero((tissues == Tissue.LIVER).any((0, 1)))
    return np.nanmedian(cavity[livers] if len(livers) > 20 else cavity, axis=0)


def _buttocks(tissues: np.ndarray) -> np.ndarray:
    """(K,) voxels of muscle to add around hips whose muscles are not labelled."""
    femurs = np.isin(tissues, _FEMURS).any((0, 1))
    muscles = (tissues == Tissue.MUSCLE).sum((0, 1)) > 4000
    extra = np.where(femurs & ~muscles, voxels(32), 0.0)
    return ndimage.gaussian_filter1d(extra, voxels(25), mode="nearest")


def _centre_line(inside: np.ndarray) -> np.ndarray:
    """(K, 2) smooth middle of the bounding boxes of each slice."""
    middle = np.full((inside.shape[2], 2), np.nan)
    for k in range(inside.shape[2]):
        if inside[:, :, k].sum() < 200:
            continue
        for axis in range(2):
            hits = np.flatnonzero(inside[:, :, k].any(1 - axis))
            middle[k, axis] = (hits[0] + hits[-1]) / 2
    known = ~np.isnan(middle[:, 0])
    where = np.arange(len(middle))
    filled = np.stack([np.interp(where, where[known], column[known]) for column in middle.T], axis=1)
    return ndimage.gaussian_filter1d(filled, voxels(45), axis=0, mode="nearest")


def _thickened(inside: np.ndarray, mm: float) -> np.ndarray:
    """Each slice with its neighbours within `mm`, so that a hull does not jump between slices."""
    return ndimage.maximum_filter1d(inside.view(np.uint8), 2 * round(voxels(mm)) + 1, axis=2).view(bool)


def _ripple(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """(K, A) smooth noise of SD 1, cyclic around the body."""
    noise = rng.standard_normal(shape)
    noise = ndimage.gaussian_filter(noise, (voxels(50), 12), mode=("nearest", "wrap"))
    return noise / max(float(noise.std()), 1e-6)
