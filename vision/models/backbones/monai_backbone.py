"""One wrapper for the networks of MONAI: features out instead of logits, the same facts for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from vision.errors import UsageError
from vision.extras import require_packages
from vision.models.backbones.compact import require_multiple
from vision.models.backbones.features import Features

Run = Callable[[Any, Tensor], Features]
"""How one kind of network is run so that it gives its features up."""


class MonaiBackbone(nn.Module):
    """(B, 1, I, J, K) scaled HU -> Features of stride 1. `widths` holds one feature width per resolution level.

    The sizes hold more than one block of `multiple` voxels: an instance normalisation needs two voxels at the bottom.
    """

    def __init__(self, net: nn.Module, run: Run, *, widths: Sequence[int]) -> None:
        super().__init__()
        self.net = net
        self.run = run
        self.width, self.bottleneck_width = widths[0], widths[-1]
        self.stride = 1
        self.multiple = 2 ** (len(widths) - 1)

    def forward(self, volume: Tensor) -> Features:
        require_multiple(volume, self.multiple)
        return self.run(self.net, volume)


def monai_networks() -> ModuleType:
    """`monai.networks.nets`, imported now. Raises UsageError E_EXTRA when MONAI is not installed."""
    require_packages("This backbone of MONAI", "monai", "einops")
    from monai.networks import nets

    return nets


def require_widths(name: str, widths: Sequence[int], factors: Sequence[int], *, of: int = 1) -> None:
    """Raise UsageError E_BACKBONE_WIDTHS unless the widths are `factors` times one number, a multiple of `of`."""
    scale = widths[0] // factors[0] if widths else 0
    if scale < 1 or scale % of or tuple(widths) != tuple(scale * factor for factor in factors):
        example = tuple(of * -(-16 // of) * factor for factor in factors)
        raise UsageError(
            "E_BACKBONE_WIDTHS",
            f"The backbone {name} cannot have the widths {tuple(widths)}.",
            f"It can have {example}, or so.",
        )


def doubling(widths: Sequence[int]) -> tuple[int, ...]:
    """1, 2, 4, ... as many as there are widths, at least two."""
    return tuple(2**level for level in range(max(2, len(widths))))


def without_batch_statistics(net: nn.Module) -> nn.Module:
    """Put an InstanceNorm3d with the same channels in the place of every BatchNorm3d of `net`, which is changed."""
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm3d):
                parent.register_module(name, nn.InstanceNorm3d(child.num_features, affine=True))
    return net
