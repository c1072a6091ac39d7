"""What every backbone gives and says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Features:
    """`decoded` (B, width, I / stride, J / stride, K / stride); `bottleneck` (B, bottleneck_width, i, j, k)."""

    decoded: Tensor
    bottleneck: Tensor


class Backbone(Protocol):
    """(B, C, I, J, K) scaled HU -> Features. I, J and K are multiples of `multiple`; raises ValueError otherwise."""

    width: int
    """Channels of the decoded features."""
    bottleneck_width: int
    stride: int
    """Input voxels per decoded voxel along each axis."""
    multiple: int

    def __call__(self, volume: Tensor) -> Features: ...
