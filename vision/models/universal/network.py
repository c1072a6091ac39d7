"""The universal network: a backbone over the whole scan, a fine network over regions of interest, one head on each."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vision.models.backbones import build_backbone
from vision.models.backbones.compact import ResidualUNet, space_to_depth
from vision.models.backbones.features import Features
from vision.models.universal.head import Fusion, UniversalHead
from vision.models.universal.phrases import PhraseEncoder, phrase_of


@dataclass(frozen=True)
class UniversalConfig:
    """Everything needed to rebuild the network; stored beside its weights."""

    structures: tuple[str, ...]
    """Names of the structure table that it has words for."""
    backbone: str = "compact"
    widths: tuple[int, ...] = (32, 64, 128, 256)
    """Feature widths of the backbone, fine to coarse."""
    fine_widths: tuple[int, ...] = (32, 48, 96)
    query_width: int = 64
    hidden: int = 24
    """Width of the per-structure networks."""
    fusion: Fusion = "concat"
    spacing_mm: float = 3.0
    """Voxel size of the look at the whole scan; regions of interest are seen at half of it."""
    window_hu: tuple[float, float] = (-125.0, 275.0)
    """HU are clipped to it and scaled to [-1, 1]."""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


class UniversalNetwork(nn.Module):
    """Coarse to fine, all structures from words.

    `see` looks at the whole scan once; `coarse` answers queries from it; `refine` answers them in a region of interest
    at half the voxel size.
    """

    def __init__(self, config: UniversalConfig) -> None:
        super().__init__()
        self.config = config
        self.phrases = PhraseEncoder(config.structures, config.query_width)
        self.backbone = build_backbone(config.backbone, config.widths)
        inner = self.backbone
        self.head = self._head(inner.width, inner.stride, slope=0.01)
        self.context = nn.Conv3d(inner.width, config.fine_widths[0], 1)
        self.fine = ResidualUNet(8 + config.fine_widths[0], config.fine_widths)
        # A correction starts at nothing: units that shut on the way must find back, so they never shut wholly.
        self.fine_head = self._head(config.fine_widths[0], 2, slope=0.1)
        with torch.no_grad():
            self.fine_head.controller.weight[-self.fine_head.sizes[2] - 8 :].zero_()
            self.fine_head.controller.bias[-8:].zero_()

    def _head(self, width: int, stride: int, *, slope: float) -> UniversalHead:
        config = self.config
        return UniversalHead(
            width,
            self.backbone.bottleneck_width,
            stride=stride,
            query_width=config.query_width,
            hidden=config.hidden,
            fusion=config.fusion,
            slope=slope,
        )

    def queries(self, structures: tuple[str, ...]) -> Tensor:
        """(Q, query_width) of names of the structure table; free words go through `parse_phrase` and `phrases`."""
        vectors: Tensor = self.phrases([phrase_of(name) for name in structures])
        return vectors

    def see(self, volume: Tensor) -> Features:
        """(B, 1, I, J, K) scaled HU of the whole scan -> Features; sizes are multiples of `backbone.multiple`."""
        features: Features = self.backbone(volume)
        return features

    def coarse(self, features: Features, queries: Tensor, sub_voxels: Tensor | None = None) -> Tensor:
        """Logits in blocks (B, Q, P, V) over the decoded voxels; `unblock` lays them out as (B, Q, I, J, K)."""
        blocks: Tensor = self.head(features, queries, sub_voxels)
        return blocks

    def fine_features(self, volume: Tensor, decoded: Tensor) -> Tensor:
        """Decoded features (B, W, I, J, K) of a region of interest.

        `volume` (B, 1, 2 I, 2 J, 2 K) scaled HU at half the spacing, `decoded` the coarse features of the same region.
        I, J and K are multiples of `fine.multiple` and of the backbone's stride.
        """
        size = tuple(n // 2 for n in volume.shape[2:])
        context = functional.interpolate(self.context(decoded), size=size, mode="trilinear", align_corners=False)
        blocks = space_to_depth(volume)
        features: Features = self.fine(torch.cat([blocks.to(context.dtype), context], dim=1))
        return features.decoded

    def refine(
        self,
        fine: Tensor,
        bottleneck: Tensor,
        coarse: Tensor,
        queries: Tensor,
        sub_voxels: Tensor | None = None,
    ) -> Tensor:
        """Logits in blocks (B, Q, P, V): what the coarse look said, corrected.

        `fine` from `fine_features`, `bottleneck` of the whole scan, `coarse` logits (B, Q, I, J, K) of the region at
        the coarse spacing.
        """
        correction: Tensor = self.fine_head.apply(fine, self.fine_head.weights(bottleneck, queries), sub_voxels)
        size = tuple(2 * n for n in coarse.shape[2:])
        before = functional.interpolate(coarse, size=size, mode="trilinear", align_corners=False)
        blocks = space_to_depth(before).unflatten(1, (-1, 8)).flatten(3)
        return correction + (blocks if sub_voxels is None else blocks[:, :, sub_voxels])


def unblock(blocks: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """(B, Q, P, V) logits in blocks -> (B, Q, I, J, K) with `shape` = (I, J, K)."""
    batch, queries, sub_voxels, _ = blocks.shape
    stride = round(sub_voxels ** (1 / 3))
    i, j, k = (n // stride for n in shape)
    laid = blocks.reshape(batch, queries, stride, stride, stride, i, j, k)
    return laid.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(batch, queries, *shape)


def scale_hu(hu: Tensor, window_hu: tuple[float, float]) -> Tensor:
    """Clip HU to the window and scale it to [-1, 1]."""
    low, high = window_hu
    return (hu.clamp(low, high) - low) * (2.0 / (high - low)) - 1.0
