"""The network of each kind of public checkpoint: (B, 1, I, J, K) in [0, 1] and Q classes -> (B, Q, I, J, K) logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from vision.errors import WeightsError
from vision.extras import missing_packages
from vision.models.checkpoints.classes import class_count
from vision.models.checkpoints.text_driven import TextDrivenNetwork
from vision.models.checkpoints.unet3d import UNet3d

NEEDED = ("monai", "einops")
"""What the networks need that the package does not; only the U-Net is our own."""


def build_network(kind: str, network: Mapping[str, Any]) -> nn.Module:
    """The untrained network of a checked description. Its learned tensors are called as in the publisher's file.

    Raises WeightsError E_MODEL_NEEDS_MONAI where MONAI or einops is not installed.
    """
    base_width = network["base_width"]
    if kind in ("suprem_unet", "universal_unet"):
        return _text_driven(UNet3d(base_width), network)
    _require_monai()
    if kind in ("suprem_swinunetr", "universal_swinunetr"):
        from vision.models.checkpoints.swin import SwinFeatures

        return _text_driven(SwinFeatures(base_width), network)
    if kind == "suprem_segresnet":
        from vision.models.checkpoints.segresnet import SegResNetClasses

        return SegResNetClasses(base_width, class_count(network["order"]))
    from vision.models.checkpoints.vista3d import VistaClasses

    return VistaClasses(base_width)


def _text_driven(backbone: Any, network: Mapping[str, Any]) -> TextDrivenNetwork:
    return TextDrivenNetwork(
        backbone,
        bottleneck_width=backbone.bottleneck_width,
        decoded_width=backbone.decoded_width,
        classes=class_count(network["order"]),
        vision_width=network["vision_width"],
        text_width=network["text_width"],
    )


def _require_monai() -> None:
    if missing_packages(*NEEDED):
        raise WeightsError(
            "E_MODEL_NEEDS_MONAI",
            "The network of this model is built with MONAI and einops, which are not installed.",
            "Run: pip install 'bodymaps-assistant[train]'.",
        )
