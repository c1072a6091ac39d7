"""The text-driven head of the CLIP-driven Universal Model, under the tensor names of its checkpoints.

Liu et al., ICCV 2023, section 3: the embedding of a class name and the pooled bottleneck give the weights of a network
of three 1x1x1 convolutions, one network for each class, a sigmoid each.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

HEAD_WIDTH = 8
HEAD_SIZES = (HEAD_WIDTH**2, HEAD_WIDTH**2, HEAD_WIDTH, HEAD_WIDTH, HEAD_WIDTH, 1)
"""How the controller's output splits into one class's network: the weights of its three layers, then the biases."""

CLASSES_AT_ONCE = 4
"""Their inner features are what the head needs memory for: 8 channels of the whole window each."""


class TextDrivenNetwork(nn.Module):
    """(B, 1, I, J, K) in [0, 1] and the numbers of Q classes -> (B, Q, I, J, K) logits.

    `backbone` gives the bottleneck and the decoded features and names their widths.
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        bottleneck_width: int,
        decoded_width: int,
        classes: int,
        vision_width: int,
        text_width: int,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.precls_conv = nn.Sequential(
            group_norm(decoded_width), nn.ReLU(), nn.Conv3d(decoded_width, HEAD_WIDTH, kernel_size=1)
        )
        self.GAP = nn.Sequential(
            group_norm(bottleneck_width),
            nn.ReLU(),
            nn.AdaptiveAvgPool3d(1),
            nn.Conv3d(bottleneck_width, vision_width, kernel_size=1),
        )
        self.controller = nn.Conv3d(2 * vision_width, sum(HEAD_SIZES), kernel_size=1)
        self.register_buffer("organ_embedding", torch.zeros(classes, text_width))
        self.text_to_vision = nn.Linear(text_width, vision_width)

    def forward(self, volume: Tensor, classes: Tensor) -> Tensor:
        bottleneck, decoded = self.backbone(volume)
        seen = self.GAP(bottleneck)[:, None].expand(-1, len(classes), -1, -1, -1, -1)
        said = functional.relu(self.text_to_vision(self.organ_embedding[classes]))  # type: ignore[index]
        said = said[None, :, :, None, None, None].expand(len(volume), -1, -1, -1, -1, -1)
        weights = self.controller(torch.cat([seen, said], dim=2).flatten(0, 1))
        return class_logits(self.precls_conv(decoded), weights.view(len(volume), len(classes), -1))


def group_norm(width: int) -> nn.GroupNorm:
    """Sixteen groups, as in every published checkpoint; fewer for widths that they do not divide."""
    return nn.GroupNorm(math.gcd(16, width), width)


def class_logits(features: Tensor, weights: Tensor) -> Tensor:
    """(B, 8, I, J, K) features and the weights (B, Q, 153) of Q networks -> (B, Q, I, J, K) logits."""
    flat = features.flatten(2)
    parts = [_some_logits(flat, some) for some in weights.split(CLASSES_AT_ONCE, dim=1)]
    return torch.cat(parts, dim=1).unflatten(2, features.shape[2:])


def _some_logits(flat: Tensor, weights: Tensor) -> Tensor:
    """(B, 8, N) and (B, Q, 153) -> (B, Q, N): every network as one batched product."""
    first, second, last, first_bias, second_bias, last_bias = weights.split(HEAD_SIZES, dim=2)
    square = (HEAD_WIDTH, HEAD_WIDTH)
    inner = torch.einsum("bqoc,bcn->bqon", first.unflatten(2, square), flat)
    inner = functional.relu(inner + first_bias[..., None])
    inner = torch.einsum("bqoc,bqcn->bqon", second.unflatten(2, square), inner)
    inner = functional.relu(inner + second_bias[..., None])
    return torch.einsum("bqc,bqcn->bqn", last, inner) + last_bias
