"""Sliding windows: logits averaged with Gaussian weights, finished slice by slice, so that memory stays bounded."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from scipy.special import expit

OVERLAP = 0.5
SIGMA = 0.125
"""Width of the Gaussian, of the window's edge; with `LEAST_WEIGHT` as in MONAI's sliding windows."""

LEAST_WEIGHT = 1e-3
CERTAIN = 255
"""Probability 1 in the bytes that are kept."""

Predict = Callable[[np.ndarray], np.ndarray]
"""A cubic window (W, W, W) float32 -> logits (S, W, W, W) float32."""


def slide(
    volume: np.ndarray, window: int, predict: Predict, *, count: int, told: Callable[[float], None]
) -> np.ndarray:
    """Probabilities (S, I, J, K) uint8 in 255ths of a volume (I, J, K) float32; `count` is S.

    A volume smaller than the window is padded by zeros on both sides. `told` is called with the share that is done
    before every window and may raise to stop the work.
    """
    padding = [(short // 2, short - short // 2) for short in (max(0, window - size) for size in volume.shape)]
    padded = np.pad(volume, padding)
    firsts, seconds, thirds = (window_starts(size, window) for size in padded.shape)
    weights = gaussian(window)
    result = np.empty((count, *padded.shape), dtype=np.uint8)
    total = np.zeros((count, *padded.shape[:2], window), dtype=np.float32)
    weight = np.zeros((*padded.shape[:2], window), dtype=np.float32)
    windows = len(firsts) * len(seconds) * len(thirds)
    for layer, (k, following) in enumerate(itertools.pairwise([*thirds, padded.shape[2]])):
        for place, (i, j) in enumerate(itertools.product(firsts, seconds)):
            told((layer * len(firsts) * len(seconds) + place) / windows)
            logits = predict(padded[i : i + window, j : j + window, k : k + window])
            total[:, i : i + window, j : j + window] += logits * weights
            weight[i : i + window, j : j + window] += weights
        done = following - k
        result[..., k:following] = np.rint(CERTAIN * expit(total[..., :done] / weight[..., :done]))
        total, weight = _moved_on(total, done), _moved_on(weight, done)
    inside = tuple(slice(low, low + size) for (low, _), size in zip(padding, volume.shape, strict=True))
    return result[(slice(None), *inside)]


def window_starts(size: int, window: int) -> list[int]:
    """Where windows begin along an axis of at least `window` voxels: they overlap by half and the last ends with it."""
    step = max(1, round(window * (1 - OVERLAP)))
    return [*range(0, size - window, step), size - window]


def gaussian(window: int) -> np.ndarray:
    """Weights (W, W, W) float32 of the voxels of a window, highest at its centre."""
    distance = np.arange(window) - (window - 1) / 2
    line = np.exp(-0.5 * (distance / (SIGMA * window)) ** 2)
    weights = line[:, None, None] * line[:, None] * line
    return np.maximum(weights, LEAST_WEIGHT).astype(np.float32)


def _moved_on(values: np.ndarray, done: int) -> np.ndarray:
    """The last axis begun `done` slices later, zeros behind."""
    return np.concatenate([values[..., done:], np.zeros_like(values[..., :done])], axis=-1)
