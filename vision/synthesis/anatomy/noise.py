"""Smooth random fields: drawn coarse, brought to the grid by linear interpolation."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import ndimage


def upsample(values: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Linear interpolation of (i, j, k) float32 to a finer `shape`, outermost samples on the outermost voxels."""
    source = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None, None]
    with torch.inference_mode():
        return torch.nn.functional.interpolate(source, size=shape, mode="trilinear", align_corners=True)[0, 0].numpy()


def smooth_field(
    shape: tuple[int, int, int], width: float | tuple[float, float, float], rng: np.random.Generator
) -> np.ndarray:
    """(I, J, K) float32 Gaussian noise of mean 0 and SD 1, smoothed by a Gaussian of SD `width` voxels an axis."""
    widths = (width, width, width) if isinstance(width, float | int) else width
    steps = [max(1.0, one / 1.6) for one in widths]
    margin = 2
    coarse = [math.ceil(count / step) + 1 + margin for count, step in zip(shape, steps, strict=True)]
    field = rng.standard_normal(coarse, dtype=np.float32)
    field = ndimage.gaussian_filter(field, [one / step for one, step in zip(widths, steps, strict=True)], mode="wrap")
    field -= field.mean()
    field /= max(float(field.std()), 1e-6)
    if all(step == 1.0 for step in steps):
        return np.ascontiguousarray(field[: shape[0], : shape[1], : shape[2]])
    inner = [max(2, math.ceil(count / step) + 1) for count, step in zip(shape, steps, strict=True)]
    return upsample(field[: inner[0], : inner[1], : inner[2]], shape)


def tubes(shape: tuple[int, int, int], width: float, radius: float, rng: np.random.Generator) -> np.ndarray:
    """(I, J, K) bool: curved tubes of about `radius` voxels where two smooth fields both pass through zero.

    The fields have a gradient of about 1 / `width` a voxel, which makes the level a distance.
    """
    first = smooth_field(shape, width, rng)
    second = smooth_field(shape, width, rng)
    np.square(first, out=first)
    np.square(second, out=second)
    first += second
    return first < (radius / (1.41 * width)) ** 2
