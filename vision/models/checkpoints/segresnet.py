"""SegResNet as SuPreM trained it: MONAI's, one output channel a class, no text."""

from __future__ import annotations

from monai.networks.nets import SegResNet
from torch import Tensor

WIDTH_MULTIPLE = 8


class SegResNetClasses(SegResNet):
    """(B, 1, I, J, K) in [0, 1] and the numbers of Q classes -> (B, Q, I, J, K) logits; sizes are multiples of 8.

    `base_width` is 16 in the published checkpoint and always a multiple of 8.
    """

    def __init__(self, base_width: int, classes: int) -> None:
        super().__init__(
            init_filters=base_width,
            in_channels=1,
            out_channels=classes,
            blocks_down=(1, 2, 2, 4),
            blocks_up=(1, 1, 1),
        )

    def forward(self, x: Tensor, classes: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x)[:, classes]
