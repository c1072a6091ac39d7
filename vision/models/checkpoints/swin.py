"""Swin UNETR as SuPreM and the Universal Model were trained with it: MONAI's, with the patch merging of MONAI 0.9."""

from __future__ import annotations

import torch
from monai.networks.nets import SwinUNETR
from torch import Tensor, nn

CORNERS = ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 0), (0, 0, 1), (1, 1, 1))
"""Which voxels of a 2x2x2 block are merged, in their order. Two come twice and (1, 1, 0) and (0, 1, 1) never: a slip of
MONAI 0.9 that the weights were trained with, so it is part of them."""

WIDTH_MULTIPLE = 12


class EarlyPatchMerging(nn.Module):
    """(B, I, J, K, C) -> (B, I/2, J/2, K/2, 2 C), odd sizes padded by zeros. Its tensors are called as MONAI's."""

    def __init__(self, dim: int, norm_layer: type[nn.LayerNorm] = nn.LayerNorm, spatial_dims: int = 3) -> None:
        super().__init__()
        if spatial_dims != 3:
            raise ValueError("merges volumes only")
        self.reduction = nn.Linear(8 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(8 * dim)

    def forward(self, tokens: Tensor) -> Tensor:
        _, i, j, k, _ = tokens.shape
        even = nn.functional.pad(tokens, (0, 0, 0, k % 2, 0, j % 2, 0, i % 2))
        blocks = torch.cat([even[:, a::2, b::2, c::2] for a, b, c in CORNERS], dim=-1)
        return self.reduction(self.norm(blocks))


class SwinFeatures(SwinUNETR):
    """(B, 1, I, J, K) -> bottleneck (B, 16 w, I/32, J/32, K/32) and decoded features (B, w, I, J, K), w the base width.

    I, J and K are multiples of 32. `base_width` is 48 in the published checkpoints and always a multiple of 12.
    """

    def __init__(self, base_width: int) -> None:
        super().__init__(in_channels=1, out_channels=1, feature_size=base_width, downsample=EarlyPatchMerging)  # type: ignore[arg-type]
        del self.out
        self.bottleneck_width, self.decoded_width = 16 * base_width, base_width

    def forward(self, volume: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.swinViT(volume, self.normalize)
        bottleneck = self.encoder10(hidden[4])
        decoded = self.decoder5(bottleneck, hidden[3])
        decoded = self.decoder4(decoded, self.encoder4(hidden[2]))
        decoded = self.decoder3(decoded, self.encoder3(hidden[1]))
        decoded = self.decoder2(decoded, self.encoder2(hidden[0]))
        return bottleneck, self.decoder1(decoded, self.encoder1(volume))
