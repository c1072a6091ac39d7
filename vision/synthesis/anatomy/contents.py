"""What is in the gut: fluid, food and stool, oral contrast, and gas, which rises to the front of a lying person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from vision.geometry import box_around
from vision.synthesis.anatomy.noise import smooth_field, upsample
from vision.synthesis.anatomy.tissues import Tissue
from vision.synthesis.anatomy.trunk import voxels

POSITIVE_SHARE = 0.35
_BLOCK = 4
SMALL_BOWEL = (
    Tissue.SMALL_BOWEL_CONTENT,
    Tissue.LOOP_CONTENT,
    Tissue.DUODENUM_CONTENT,
    Tissue.COLON_AND_SMALL_BOWEL_CONTENT,
)
COLON = (Tissue.COLON_CONTENT, Tissue.RECTUM_CONTENT)
STOMACH = (Tissue.STOMACH_CONTENT, Tissue.STOMACH_AND_DUODENUM_CONTENT)


@dataclass(frozen=True)
class Meal:
    """What a patient swallowed and how gassy the gut is."""

    contrast_hu: float
    contrast_reach: float
    stomach_gas: float
    colon_gas: float
    bowel_gas: float
    food: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Meal:
        """Oral contrast in a third of the patients; `contrast_reach` 0 to 1 says how far down the gut it is."""
        positive = rng.random() < POSITIVE_SHARE
        return cls(
            contrast_hu=float(rng.uniform(100, 400)) if positive else 0.0,
            contrast_reach=float(rng.random()) if positive else 0.0,
            stomach_gas=float(rng.beta(1.2, 3)) * 0.7,
            colon_gas=float(rng.uniform(-1.0, 0.6)),
            bowel_gas=float(rng.uniform(-2.6, -1.5)),
            food=float(rng.uniform(0, 1)),
        )


def fill_gut(hu: np.ndarray, tissues: np.ndarray, meal: Meal, *, rng: np.random.Generator, gas_hu: float) -> None:
    """Paint the contents of stomach, small bowel and colon, in place."""
    _fill_stomach(hu, tissues, meal, rng=rng, gas_hu=gas_hu)
    _fill_bowel(hu, tissues, meal, rng=rng, gas_hu=gas_hu)
    _fill_colon(hu, tissues, meal, rng=rng, gas_hu=gas_hu)


def _fill_stomach(hu: np.ndarray, tissues: np.ndarray, meal: Meal, *, rng: np.random.Generator, gas_hu: float) -> None:
    box = box_around(np.isin(tissues, STOMACH))
    if box is None:
        return
    inside = np.isin(tissues[box], STOMACH)
    height = np.broadcast_to(np.arange(inside.shape[1], dtype=np.float32)[None, :, None], inside.shape)[inside]
    values = hu[box][inside]
    lumps = smooth_field(inside.shape, 2.5, rng)[inside]
    broad = smooth_field(inside.shape, 8.0, rng)[inside]
    values += meal.food * (18 * lumps - 45 * np.clip(lumps - 1.2, 0, 1.5) + 15 * broad)
    if meal.contrast_hu > 0 and rng.random() < 0.7:
        values += np.clip(0.6 + 0.5 * broad + 0.3 * lumps, 0, 1) * (meal.contrast_hu - values)
    _pour_gas(values, height - np.quantile(height, 1 - meal.stomach_gas), gas_hu)
    hu[box][inside] = values


def _fill_bowel(hu: np.ndarray, tissues: np.ndarray, meal: Meal, *, rng: np.random.Generator, gas_hu: float) -> None:
    box = box_around(np.isin(tissues, SMALL_BOWEL))
    if box is None:
        return
    inside = np.isin(tissues[box], SMALL_BOWEL)
    values = hu[box][inside]
    region = smooth_field(inside.shape, 14.0, rng)[inside]
    folds = smooth_field(inside.shape, 1.5, rng)[inside]
    values += 16 * np.clip(region, -1, 1.5) + 9 * folds
    if meal.contrast_hu > 0:
        there = np.clip(2.5 * (region + 2.2 * meal.contrast_reach - 0.7), 0, 1)
        values += there * (meal.contrast_hu * (1 - 0.25 * np.clip(folds, 0, 2)) - values)
    above = _above_level(inside, smooth_field(inside.shape, 12.0, rng) + meal.bowel_gas)
    _pour_gas(values, above, gas_hu)
    hu[box][inside] = values


def _fill_colon(hu: np.ndarray, tissues: np.ndarray, meal: Meal, *, rng: np.random.Generator, gas_hu: float) -> None:
    box = box_around(np.isin(tissues, COLON))
    if box is None:
        return
    inside = np.isin(tissues[box], COLON)
    values = hu[box][inside]
    region = smooth_field(inside.shape, 16.0, rng)[inside]
    grain = smooth_field(inside.shape, 1.3, rng)[inside]
    clumps = smooth_field(inside.shape, 4.0, rng)[inside]
    stool = np.clip(2 * (region + 0.6), 0, 1)
    values += stool * (22 * grain + 18 * clumps)
    tagged = meal.contrast_hu > 0 and meal.contrast_reach > 0.5
    if tagged:
        values += np.clip(0.5 + 0.5 * region + 0.25 * clumps, 0, 1) * (meal.contrast_hu - values)
    bubbles = np.clip(grain + 0.7 * clumps - 1.25, 0, 1) * stool
    values += bubbles * (rng.uniform(-950, -500) - values)
    above = _above_level(inside, smooth_field(inside.shape, 13.0, rng) + meal.colon_gas)
    _pour_gas(values, above - np.where(stool > 0.6, 1.5 * clumps, 0).astype(np.float32), gas_hu)
    hu[box][inside] = values


def _pour_gas(values: np.ndarray, above: np.ndarray, gas_hu: float) -> None:
    """Replace by gas what lies above a level (voxels), with the half voxel that the level cuts, in place."""
    values += np.clip(above + 0.5, 0, 1) * (gas_hu - values)


def _above_level(inside: np.ndarray, gassiness: np.ndarray) -> np.ndarray:
    """(n,) float32: how many voxels each voxel of a lumen lies in front of its pocket's fluid level.

    The level is measured from the middle of the lumen around, so that it is flat across a loop; `gassiness`
    (I, J, K), in units of 12 mm, lowers it.
    """
    pooled, weighted = _pooled_heights(inside)
    width = voxels(13) / _BLOCK
    middle = ndimage.gaussian_filter(weighted, width) / np.maximum(ndimage.gaussian_filter(pooled, width), 1e-4)
    shape = tuple(-(-n // _BLOCK) * _BLOCK for n in inside.shape)
    level = upsample(middle, (shape[0], shape[1], shape[2]))[: inside.shape[0], : inside.shape[1], : inside.shape[2]]
    height = np.broadcast_to(np.arange(inside.shape[1], dtype=np.float32)[None, :, None], inside.shape)
    return height[inside] - level[inside] + voxels(12) * gassiness[inside]


def _pooled_heights(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of each 4x4x4 block that is lumen, and that share times its mean height; both float32."""
    pads = [(0, -n % _BLOCK) for n in inside.shape]
    padded = np.pad(inside, pads).astype(np.float32)
    i, j, k = (n // _BLOCK for n in padded.shape)
    blocks = padded.reshape(i, _BLOCK, j, _BLOCK, k, _BLOCK)
    share = blocks.mean((1, 3, 5))
    heights = np.arange(padded.shape[1], dtype=np.float32).reshape(1, 1, j, _BLOCK, 1, 1)
    return share, (blocks * heights).mean((1, 3, 5))
