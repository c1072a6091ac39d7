"""A random scanner: other contrast, slice thickness, kernel and noise, the same for every view of one patch."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Scanner:
    """How one patch is shown. `offsets` (256,) HU added to each tissue code; the rest applies to the whole patch."""

    offsets: np.ndarray
    gain: float
    shift_hu: float
    thickness_mm: float
    blur_mm: float
    noise_hu: float
    """Standard deviation at 1.5 mm voxels."""

    def of_kin(self, kin: np.ndarray) -> Scanner:
        """The scanner that shows every code with the contrast of its `kin` (256,) uint8."""
        return replace(self, offsets=self.offsets[kin])

    def scan(self, hu: Tensor, tissues: Tensor, spacing_mm: float, rng: np.random.Generator) -> Tensor:
        """(I, J, K) HU as this scanner shows them; noise is drawn from `rng`."""
        if self.offsets.any():
            added = torch.from_numpy(self.offsets)[tissues.long()]
            hu = hu + functional.avg_pool3d(added[None, None], 3, 1, 1)[0, 0]
        hu = (hu - 50.0) * self.gain + 50.0 + self.shift_hu
        thick = round(self.thickness_mm / spacing_mm)
        if thick > 1:
            pooled = functional.avg_pool3d(hu[None, None], (1, 1, thick), (1, 1, thick), ceil_mode=True)
            long = (hu.shape[0], hu.shape[1], pooled.shape[-1] * thick)
            hu = functional.interpolate(pooled, size=long, mode="trilinear")[0, 0][:, :, : hu.shape[2]]
        if self.blur_mm >= spacing_mm / 2:
            weight = min(0.5, self.blur_mm / spacing_mm / 2)
            soft = functional.avg_pool3d(hu[None, None], 3, 1, 1, count_include_pad=False)[0, 0]
            hu = (1 - weight) * hu + weight * soft
        if self.noise_hu:
            generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
            # Noise is correlated over about a voxel of 1.5 mm, so that it falls more slowly than the volume grows.
            deviation = self.noise_hu * (1.5 / spacing_mm)
            hu = hu + torch.randn(hu.shape, generator=generator) * deviation
        return hu


def draw_scanner(rng: np.random.Generator) -> Scanner:
    """Half of all patches keep their own contrast; thick slices in a third, noise in six of ten."""
    offsets = np.zeros(256, dtype=np.float32)
    if rng.random() < 0.5:
        offsets = rng.normal(0, 25, 256).astype(np.float32)
        offsets[0] = 0.0
    other = rng.random() < 0.7
    return Scanner(
        offsets=offsets,
        gain=float(rng.uniform(0.75, 1.3)) if other else 1.0,
        shift_hu=float(rng.normal(0, 12)) if other else 0.0,
        thickness_mm=float(rng.uniform(3.0, 7.0)) if rng.random() < 0.35 else 0.0,
        blur_mm=float(rng.uniform(0.8, 2.5)) if rng.random() < 0.3 else 0.0,
        noise_hu=float(rng.uniform(3, 35)) if rng.random() < 0.6 else 0.0,
    )
