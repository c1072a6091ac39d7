"""The text-driven universal head: a query writes the weights of the small network that finds its structure.

After the CLIP-driven Universal Model (Liu et al., ICCV 2023, section 3): weights = controller(pooled bottleneck,
query), one network per structure, a sigmoid each. Here all queries are one batched product, the query comes from words,
and one decoded voxel answers for a block of stride x stride x stride voxels of the input.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from vision.models.backbones.features import Features

Fusion = Literal["concat", "cross_attention"]


class UniversalHead(nn.Module):
    """Features and queries (Q, query_width) -> logits in blocks (B, Q, P, V).

    V = I J K decoded voxels; P = stride**3 sub-voxels of each, in the order of `space_to_depth`.
    """

    def __init__(
        self,
        width: int,
        bottleneck_width: int,
        *,
        stride: int,
        query_width: int,
        hidden: int,
        fusion: Fusion,
        slope: float = 0.01,
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.slope = slope
        self.sub_voxels = stride**3
        self.project = nn.Conv3d(width, hidden, 1)
        self.sizes = (hidden * hidden, hidden, hidden * self.sub_voxels, self.sub_voxels)
        self.controller = nn.Linear(query_width, sum(self.sizes))
        self.fuse: nn.Module
        if fusion == "concat":
            self.fuse = Concat(bottleneck_width, sum(self.sizes))
        else:
            self.fuse = CrossAttention(bottleneck_width, query_width, sum(self.sizes))
        self._start()

    def _start(self) -> None:
        """Networks start as He-initialised ones would, all alike in scale, and say 'unlikely'."""
        deviations = (math.sqrt(2 / self.hidden), 0.0, 0.3 / math.sqrt(self.hidden), 0.0)
        with torch.no_grad():
            for rows, deviation in zip(self.controller.weight.split(self.sizes), deviations, strict=True):
                rows.normal_(0.0, 1.0).mul_(deviation)
            self.controller.bias.zero_()
            self.controller.bias[-self.sub_voxels :] = -2.0

    def forward(self, features: Features, queries: Tensor, sub_voxels: Tensor | None = None) -> Tensor:
        """`sub_voxels` (P',) picks some of the P; default all."""
        weights = self.weights(features.bottleneck, queries)
        return self.apply(features.decoded, weights, sub_voxels)

    def weights(self, bottleneck: Tensor, queries: Tensor) -> Tensor:
        """(B, C, i, j, k) and (Q, D) -> (B, Q, sum of sizes): the networks of the queries, for one look at the CT."""
        matrix = self.controller.weight.t().expand(len(queries), -1, -1)
        own = torch.bmm(queries[:, None].to(matrix.dtype), matrix)[:, 0] + self.controller.bias
        fused: Tensor = self.fuse(bottleneck, queries)
        return own + fused

    def apply(self, decoded: Tensor, weights: Tensor, sub_voxels: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Run the networks `weights` (B, Q, n) over decoded features (B, W, I, J, K) -> (B, Q, P, V)."""
        batch, count = weights.shape[:2]
        first, first_bias, second, second_bias = weights.to(decoded.dtype).split(self.sizes, dim=-1)
        second = second.unflatten(-1, (self.sub_voxels, self.hidden))
        if sub_voxels is not None:
            second, second_bias = second[:, :, sub_voxels], second_bias[:, :, sub_voxels]
        voxels = functional.leaky_relu(self.project(decoded), self.slope).flatten(2)
        voxels = voxels[:, None].expand(-1, count, -1, -1).flatten(0, 1)
        first = first.unflatten(-1, (self.hidden, self.hidden)).flatten(0, 1)
        inner = functional.leaky_relu(torch.baddbmm(first_bias.flatten(0, 1)[..., None], first, voxels), self.slope)
        outer = torch.baddbmm(second_bias.flatten(0, 1)[..., None], second.flatten(0, 1), inner)
        return outer.unflatten(0, (batch, count))


class Concat(nn.Module):
    """The pooled bottleneck beside the query: one linear map of both is the sum of one of each; starts at zero."""

    def __init__(self, bottleneck_width: int, size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(bottleneck_width, size, bias=False)
        nn.init.zeros_(self.linear.weight)

    def forward(self, bottleneck: Tensor, queries: Tensor) -> Tensor:
        pooled = functional.normalize(bottleneck.float().mean((2, 3, 4)), dim=-1)
        result: Tensor = self.linear(pooled)
        return result[:, None]


class CrossAttention(nn.Module):
    """Every query looks over the bottleneck's voxels on its own; starts at zero."""

    def __init__(self, bottleneck_width: int, query_width: int, size: int) -> None:
        super().__init__()
        self.key = nn.Linear(bottleneck_width, query_width)
        self.value = nn.Linear(bottleneck_width, query_width)
        self.linear = nn.Linear(query_width, size, bias=False)
        nn.init.zeros_(self.linear.weight)

    def forward(self, bottleneck: Tensor, queries: Tensor) -> Tensor:
        voxels = functional.normalize(bottleneck.float().flatten(2).movedim(1, 2), dim=-1)
        keys, values = self.key(voxels).float()[:, None], self.value(voxels).float()[:, None]
        # One product per query: what one query gets must not depend, to the last bit, on which others are asked.
        scores = torch.matmul(queries.float()[None, :, None], keys.mT) * math.sqrt(queries.shape[1])
        seen = torch.matmul(scores.softmax(-1), values)
        result: Tensor = torch.matmul(seen, self.linear.weight.t()[None, None])
        return result[:, :, 0]
