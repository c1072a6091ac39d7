"""Test-time augmentation without flips: the same CT moved a little against the network's blocks, or in other HU."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from vision.models.backbones.features import Features

MIDDLE_HU = 50.0
"""Contrast is turned up or down about soft tissue."""


@dataclass(frozen=True)
class View:
    """`shift` moves the CT by coarse voxels, multiples of the backbone's stride; HU become
    50 + gain * (HU - 50) + offset_hu."""

    shift: int = 0
    gain: float = 1.0
    offset_hu: float = 0.0

    def shown(self, volume: Tensor, window_hu: tuple[float, float]) -> Tensor:
        """Scaled HU of any shape as this view has them."""
        if self.gain == 1.0 and self.offset_hu == 0.0:
            return volume
        low, high = window_hu
        middle = (MIDDLE_HU - low) * 2.0 / (high - low) - 1.0
        moved = middle + self.gain * (volume - middle) + self.offset_hu * 2.0 / (high - low)
        return moved.clamp(-1.0, 1.0)

    def shifted(self, volume: Tensor, *, multiple: int) -> Tensor:
        """(1, 1, I, J, K) moved towards the end of each axis, padded to multiples by the low end of the window."""
        pad = [n for size in reversed(volume.shape[2:]) for n in (self.shift, -(size + self.shift) % multiple)]
        return functional.pad(volume, pad, value=-1.0)

    def returned(self, features: Features, size: tuple[int, int, int], *, stride: int) -> Features:
        """The features where the CT lay before it was shifted, for a volume of `size`; the bottleneck stays.

        Raises ValueError for a shift that is no multiple of the stride.
        """
        if self.shift % stride:
            raise ValueError(f"a shift of {self.shift} voxels is no multiple of the stride {stride}")
        first = self.shift // stride
        i, j, k = (slice(first, first + n // stride) for n in size)
        return Features(features.decoded[:, :, i, j, k], features.bottleneck)


PLAIN = View()
"""The CT as it is."""
