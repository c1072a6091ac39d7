"""Tissues to Hounsfield units without a scanner: means, textures, and what varies within an organ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from vision.geometry import box_around
from vision.synthesis.anatomy.attenuation import Attenuation
from vision.synthesis.anatomy.noise import smooth_field
from vision.synthesis.anatomy.tissues import Tissue
from vision.synthesis.anatomy.trunk import voxels

PLAQUE_SHARE = 0.4
_KIDNEYS = (Tissue.KIDNEY_LEFT, Tissue.KIDNEY_RIGHT, Tissue.KIDNEY_LEFT_MEDULLA, Tissue.KIDNEY_RIGHT_MEDULLA)


@dataclass(frozen=True)
class Fields:
    """Noise of SD 1 that all tissues share, (I, J, K) float32: a few mm, about 1 cm and some cm wide."""

    fine: np.ndarray
    middle: np.ndarray
    broad: np.ndarray

    @classmethod
    def draw(cls, shape: tuple[int, int, int], rng: np.random.Generator) -> Fields:
        """Draw the three for a volume."""
        return cls(smooth_field(shape, 1.7, rng), smooth_field(shape, 4.5, rng), smooth_field(shape, 13.0, rng))


def paint_tissues(tissues: np.ndarray, fields: Fields, attenuation: Attenuation) -> np.ndarray:
    """(I, J, K) float32 HU: each tissue's mean and its two textures."""
    hu = attenuation.mean_hu[tissues]
    term = attenuation.fine[tissues]
    term *= fields.fine
    hu += term
    np.take(attenuation.broad, tissues, out=term)
    term *= fields.broad
    hu += term
    return hu


def voxels_of(tissues: np.ndarray, *codes: Tissue) -> np.ndarray:
    """Flat indices of the voxels of some tissues."""
    wanted = np.zeros(256, dtype=bool)
    wanted[list(codes)] = True
    return np.flatnonzero(wanted[tissues.reshape(-1)])


def vary_organs(
    hu: np.ndarray, tissues: np.ndarray, fields: Fields, attenuation: Attenuation, rng: np.random.Generator
) -> None:
    """Paint what is not one mean an organ, in place: mixing blood, plaques, banded spleen, fatty clefts, strands."""
    _mix_vena_cava(hu, tissues, attenuation)
    if rng.random() < PLAQUE_SHARE:
        _calcify(hu, tissues, fields, rng)
    flat, fine, middle, broad = (array.reshape(-1) for array in (hu, fields.fine, fields.middle, fields.broad))
    if attenuation.phase == "late_arterial":
        spleen = voxels_of(tissues, Tissue.SPLEEN)
        flat[spleen] += rng.uniform(5, 30) * np.sin(2.2 * middle[spleen] + broad[spleen])
    _fatten(flat, voxels_of(tissues, Tissue.PANCREAS), fine + 0.8 * middle, threshold=rng.uniform(1.2, 2.8), fat_hu=-90)
    muscle = voxels_of(tissues, Tissue.MUSCLE)
    _fatten(flat, muscle, middle - 0.5 * fine, threshold=rng.uniform(1.1, 2.2), fat_hu=-95)
    planes = np.clip(1 - np.abs(middle[muscle] + 0.25 * fine[muscle]) / 0.07, 0, 1) * rng.uniform(0, 0.7)
    flat[muscle] += planes * (-90 - flat[muscle])
    fat = voxels_of(tissues, Tissue.FAT)
    strands = np.clip(middle[fat] - rng.uniform(0.8, 1.8), 0, 1.5)
    flat[fat] += rng.uniform(5, 40) * strands
    septa = voxels_of(tissues, Tissue.SUBCUTANEOUS_FAT)
    flat[septa] += rng.uniform(5, 45) * np.clip(1 - np.abs(middle[septa]) / 0.06, 0, 1)


def _calcify(hu: np.ndarray, tissues: np.ndarray, fields: Fields, rng: np.random.Generator) -> None:
    """Put plaques on the inside of the aorta's wall, in place."""
    box = box_around(tissues == Tissue.AORTA, 1)
    if box is None:
        return
    inside = tissues[box] == Tissue.AORTA
    rim = inside & ~ndimage.binary_erosion(inside, structure=np.ones((3, 3, 1)))
    plaque = rim & (fields.middle[box] + 0.4 * fields.fine[box] > rng.uniform(1.0, 2.2))
    hu[box][plaque] = rng.uniform(300, 1000, int(plaque.sum()))


def _fatten(flat: np.ndarray, where: np.ndarray, level: np.ndarray, *, threshold: float, fat_hu: float) -> None:
    """Mix fat into tissue where a noise level exceeds a threshold, in place."""
    share = np.clip(level[where] - threshold, 0, 1)
    flat[where] += share * (fat_hu - flat[where])


def _mix_vena_cava(hu: np.ndarray, tissues: np.ndarray, attenuation: Attenuation) -> None:
    """Below the renal veins the vena cava carries unenhanced blood; above, it mixes, in place."""
    box = box_around(tissues == Tissue.POSTCAVA, 0)
    kidneys = np.flatnonzero(np.isin(tissues[:, :, ::4], _KIDNEYS).any((0, 1))) * 4
    if box is None or not len(kidneys):
        return
    heights = np.arange(box[2].start, box[2].stop)
    above = 1 / (1 + np.exp(-(heights - kidneys.mean()) / voxels(12)))
    step = attenuation.means["postcava_infrarenal"] - attenuation.means["postcava_suprarenal"]
    hu[box] += np.where(tissues[box] == Tissue.POSTCAVA, (step * (1 - above)).astype(np.float32), np.float32(0))


def layer_urine(hu: np.ndarray, tissues: np.ndarray, attenuation: Attenuation, rng: np.random.Generator) -> None:
    """In the delayed phase let contrast lie in the bladder's back, in place; sludge in one gall bladder of ten."""
    if attenuation.phase == "delayed" and rng.random() < 0.7:
        _layer(hu, tissues, Tissue.BLADDER_CONTENT, share=rng.uniform(0.1, 0.6), hu_of_layer=rng.uniform(100, 600))
    if rng.random() < 0.1:
        _layer(hu, tissues, Tissue.GALL_BLADDER_CONTENT, share=rng.uniform(0.1, 0.4), hu_of_layer=rng.uniform(30, 250))


def _layer(hu: np.ndarray, tissues: np.ndarray, code: Tissue, *, share: float, hu_of_layer: float) -> None:
    box = box_around(tissues == code, 0)
    if box is None:
        return
    inside = tissues[box] == code
    height = np.broadcast_to(np.arange(inside.shape[1], dtype=np.float32)[None, :, None], inside.shape)
    level = np.quantile(height[inside], share)
    sunk = np.clip(level - height + 0.5, 0, 1) * inside
    hu[box] += sunk * (hu_of_layer - hu[box])


def vary_lungs(hu: np.ndarray, tissues: np.ndarray) -> None:
    """Make the lungs denser towards the back, where a lying person's blood is, in place."""
    lungs = (Tissue.LUNG_LEFT, Tissue.LUNG_RIGHT, Tissue.DRAWN_LUNG)
    box = box_around(np.isin(tissues, lungs))
    if box is None:
        return
    inside = np.isin(tissues[box], lungs)
    sunk = np.linspace(110, -50, inside.shape[1], dtype=np.float32)[None, :, None]
    hu[box] += sunk * ndimage.binary_erosion(inside)
