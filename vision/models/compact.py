"""The compact network: a space-to-depth stem, a U-Net behind it, a depth-to-space head.

All convolutions run at twice the voxel size of input and output, which is what makes a whole abdomen affordable on two
CPU cores. It sees the whole width of a body at once, in training as in use, so that left, right, above and below are
never in doubt. Instance normalisation only: no statistics of other scans are kept.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vision.models.description import check_network


@dataclass(frozen=True)
class CompactConfig:
    """Everything needed to rebuild the network; stored beside its weights."""

    channels: tuple[str, ...]
    """Structure names, one output channel each."""
    widths: tuple[int, ...] = (32, 64, 128, 256)
    """Feature widths from fine (2 voxels) to coarse."""
    spacing_mm: float = 3.0
    """Voxel size of input and output."""
    window_hu: tuple[float, float] = (-125.0, 275.0)
    """HU are clipped to it and scaled to [-1, 1]."""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> CompactConfig:
        """Back from `to_dict`. Raises WeightsError E_WEIGHTS_DESCRIPTION for an unknown key, a wrong type or size."""
        checked = check_network(values)
        return cls(
            channels=checked["channels"],
            widths=checked["widths"],
            spacing_mm=checked["spacing_mm"],
            window_hu=checked["window_hu"],
        )


class ResidualBlock(nn.Module):
    """Two 3x3x3 convolutions with a shortcut, (B, C_in, I, J, K) -> (B, C_out, I, J, K)."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(width_in, width_out, 3, padding=1, bias=False)
        self.first_norm = nn.InstanceNorm3d(width_out, affine=True)
        self.second = nn.Conv3d(width_out, width_out, 3, padding=1, bias=False)
        self.second_norm = nn.InstanceNorm3d(width_out, affine=True)
        self.shortcut = nn.Conv3d(width_in, width_out, 1) if width_in != width_out else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        inner = functional.leaky_relu(self.first_norm(self.first(features)), 0.01)
        inner = self.second_norm(self.second(inner))
        return functional.leaky_relu(inner + self.shortcut(features), 0.01)


class CompactUNet(nn.Module):
    """(B, 1, I, J, K) scaled HU -> (B, len(channels), I, J, K) logits, one sigmoid per structure.

    I, J and K must be multiples of `multiple`; raises ValueError otherwise.
    """

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.multiple = 2 ** len(widths)
        self.stem = nn.Conv3d(8, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList(ResidualBlock(width, width) for width in widths)
        self.down = nn.ModuleList(nn.Conv3d(fine, coarse, 2, stride=2) for fine, coarse in itertools.pairwise(widths))
        self.up = nn.ModuleList(nn.Conv3d(coarse, fine, 1) for fine, coarse in itertools.pairwise(widths))
        self.decoder = nn.ModuleList(ResidualBlock(2 * width, width) for width in widths[:-1])
        self.head = nn.Conv3d(widths[0], 8 * len(config.channels), 1)
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(self.head.bias, -2.0)  # type: ignore[arg-type]

    def forward(self, hu: Tensor) -> Tensor:
        return depth_to_space(self.blocks(hu))

    def blocks(self, hu: Tensor) -> Tensor:
        """As `forward`, before the depth-to-space: (B, 8 C, I/2, J/2, K/2), channel 8 c + p is sub-voxel p of c."""
        if any(size % self.multiple for size in hu.shape[2:]):
            raise ValueError(f"sizes {tuple(hu.shape[2:])} are not multiples of {self.multiple}")
        features = self.stem(space_to_depth(hu))
        kept = []
        for level, block in enumerate(self.encoder):
            features = block(features)
            if level < len(self.down):
                kept.append(features)
                features = self.down[level](features)
        for level in reversed(range(len(self.down))):
            coarse = self.up[level](features)
            coarse = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3).repeat_interleave(2, 4)
            features = self.decoder[level](torch.cat([kept[level], coarse], dim=1))
        return self.head(features)


def space_to_depth(volume: Tensor) -> Tensor:
    """(B, C, I, J, K) -> (B, 8 C, I/2, J/2, K/2): each 2x2x2 block becomes channels."""
    b, c, i, j, k = volume.shape
    blocks = volume.reshape(b, c, i // 2, 2, j // 2, 2, k // 2, 2)
    return blocks.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(b, c * 8, i // 2, j // 2, k // 2)


def depth_to_space(features: Tensor) -> Tensor:
    """(B, 8 C, I, J, K) -> (B, C, 2 I, 2 J, 2 K): the inverse of `space_to_depth`."""
    b, c, i, j, k = features.shape
    blocks = features.reshape(b, c // 8, 2, 2, 2, i, j, k)
    return blocks.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(b, c // 8, i * 2, j * 2, k * 2)


def scale_hu(hu: Tensor, window_hu: tuple[float, float]) -> Tensor:
    """Clip HU to the window and scale it to [-1, 1]."""
    low, high = window_hu
    return (hu.clamp(low, high) - low) * (2.0 / (high - low)) - 1.0
