"""The U-Net of SuPreM and of the CLIP-driven Universal Model, under the tensor names of their checkpoints."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class ConvUnit(nn.Module):
    """Convolution, normalisation, ReLU: (B, C_in, I, J, K) -> (B, C_out, I, J, K).

    The checkpoints were trained with a batch norm that normalises by the statistics of the batch in use as in training
    ("ContBatchNorm3d"), and was used with one window in a batch. That is instance normalisation: every window by its
    own statistics, whatever came before it or lies beside it. The running statistics in the files are never read.
    """

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(width_in, width_out, 3, padding=1)
        self.bn1 = nn.InstanceNorm3d(width_out, affine=True)

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(self.bn1(self.conv1(features)))


class Down(nn.Module):
    """One level on the way down; the width doubles in its second unit."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.ops = nn.Sequential(ConvUnit(width_in, width), ConvUnit(width, 2 * width))

    def forward(self, features: Tensor) -> Tensor:
        return self.ops(features)


class Up(nn.Module):
    """One level on the way up: twice the size, beside what was kept on the way down."""

    def __init__(self, width_in: int, width_kept: int) -> None:
        super().__init__()
        self.up_conv = nn.ConvTranspose3d(width_in, width_in, 2, stride=2)
        self.ops = nn.Sequential(ConvUnit(width_in + width_kept, width_kept), ConvUnit(width_kept, width_kept))

    def forward(self, features: Tensor, kept: Tensor) -> Tensor:
        return self.ops(torch.cat([self.up_conv(features), kept], dim=1))


class UNet3d(nn.Module):
    """(B, 1, I, J, K) -> bottleneck (B, 16 w, I/8, J/8, K/8) and decoded features (B, 2 w, I, J, K), w the base width.

    I, J and K are multiples of 8. `base_width` is 32 in the published checkpoints.
    """

    def __init__(self, base_width: int) -> None:
        super().__init__()
        w = base_width
        self.down_tr64 = Down(1, w)
        self.down_tr128 = Down(2 * w, 2 * w)
        self.down_tr256 = Down(4 * w, 4 * w)
        self.down_tr512 = Down(8 * w, 8 * w)
        self.up_tr256 = Up(16 * w, 8 * w)
        self.up_tr128 = Up(8 * w, 4 * w)
        self.up_tr64 = Up(4 * w, 2 * w)
        self.bottleneck_width, self.decoded_width = 16 * w, 2 * w

    def forward(self, volume: Tensor) -> tuple[Tensor, Tensor]:
        finest = self.down_tr64(volume)
        fine = self.down_tr128(functional.max_pool3d(finest, 2))
        coarse = self.down_tr256(functional.max_pool3d(fine, 2))
        bottleneck = self.down_tr512(functional.max_pool3d(coarse, 2))
        decoded = self.up_tr256(bottleneck, coarse)
        decoded = self.up_tr128(decoded, fine)
        return bottleneck, self.up_tr64(decoded, finest)
