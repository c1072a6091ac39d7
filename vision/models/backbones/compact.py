"""The compact backbone: a space-to-depth stem and a residual U-Net behind it.

All convolutions run at twice the voxel size of the input, which is what makes a whole abdomen affordable on two CPU
cores. Instance normalisation only: no statistics of other scans are kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vision.models.backbones.features import Features


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


class ResidualUNet(nn.Module):
    """(B, C_in, I, J, K) -> Features of stride 1; I, J and K are multiples of `multiple`."""

    def __init__(self, width_in: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.width, self.bottleneck_width = widths[0], widths[-1]
        self.stride = 1
        self.multiple = 2 ** (len(widths) - 1)
        self.stem = nn.Conv3d(width_in, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList(ResidualBlock(width, width) for width in widths)
        self.down = nn.ModuleList(nn.Conv3d(fine, coarse, 2, stride=2) for fine, coarse in itertools.pairwise(widths))
        self.up = nn.ModuleList(nn.Conv3d(coarse, fine, 1) for fine, coarse in itertools.pairwise(widths))
        self.decoder = nn.ModuleList(ResidualBlock(2 * width, width) for width in widths[:-1])

    def forward(self, volume: Tensor) -> Features:
        require_multiple(volume, self.multiple)
        features = self.stem(volume)
        kept = []
        for level, block in enumerate(self.encoder):
            features = block(features)
            if level < len(self.down):
                kept.append(features)
                features = self.down[level](features)
        bottleneck = features
        for level in reversed(range(len(self.down))):
            coarse = double(self.up[level](features))
            features = self.decoder[level](torch.cat([kept[level], coarse], dim=1))
        return Features(features, bottleneck)


class CompactBackbone(nn.Module):
    """(B, 1, I, J, K) scaled HU -> Features of stride 2."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.unet = ResidualUNet(8, widths)
        self.width, self.bottleneck_width = widths[0], widths[-1]
        self.stride = 2
        self.multiple = 2 * self.unet.multiple

    def forward(self, volume: Tensor) -> Features:
        require_multiple(volume, self.multiple)
        features: Features = self.unet(space_to_depth(volume))
        return features


def require_multiple(volume: Tensor, multiple: int) -> None:
    """Raise ValueError unless the last three sizes of (B, C, I, J, K) are multiples of `multiple`."""
    if any(size % multiple for size in volume.shape[2:]):
        raise ValueError(f"sizes {tuple(volume.shape[2:])} are not multiples of {multiple}")


def double(features: Tensor) -> Tensor:
    """(B, C, I, J, K) -> (B, C, 2 I, 2 J, 2 K), every voxel repeated."""
    return features.repeat_interleave(2, 2).repeat_interleave(2, 3).repeat_interleave(2, 4)


def space_to_depth(volume: Tensor) -> Tensor:
    """(B, C, I, J, K) -> (B, 8 C, I/2, J/2, K/2): each 2x2x2 block becomes channels."""
    b, c, i, j, k = volume.shape
    blocks = volume.reshape(b, c, i // 2, 2, j // 2, 2, k // 2, 2)
    return blocks.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(b, c * 8, i // 2, j // 2, k // 2)
