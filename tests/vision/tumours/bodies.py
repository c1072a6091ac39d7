"""A liver-like ball in fat with noise: what tumours of known truth are painted into."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vision.synthesis.tumours.protocol import Spacing

ORGAN_HU, FAT_HU, NOISE_HU = 110.0, -100.0, 12.0


def organ_in_fat(
    size_mm: float = 64.0,
    radius_mm: float = 28.0,
    spacing: Spacing = (1.0, 1.0, 1.0),
    *,
    organ_hu: float = ORGAN_HU,
    noise_hu: float = NOISE_HU,
) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """A CT (I, J, K) int16 and the mask of the ball in its middle."""
    axes = [(np.arange(round(size_mm / step)) + 0.5) * step - size_mm / 2 for step in spacing]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    organ = x * x + y * y + z * z <= radius_mm**2
    noise = np.random.default_rng(7).normal(0, noise_hu, organ.shape)
    return np.rint(np.where(organ, organ_hu, FAT_HU) + noise).astype(np.int16), organ
