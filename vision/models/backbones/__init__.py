"""Backbones: one dict of builders. A backbone turns a CT into decoder features and a bottleneck; heads go on top."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType

from rapidfuzz import fuzz, process

from vision.errors import UsageError
from vision.models.backbone_names import LEFT_OUT
from vision.models.backbones import attentional, convolutional
from vision.models.backbones.compact import CompactBackbone
from vision.models.backbones.features import Backbone, Features

__all__ = ["BACKBONES", "Backbone", "Features", "build_backbone"]

Builder = Callable[[Sequence[int]], Backbone]

BACKBONES: MappingProxyType[str, Builder] = MappingProxyType(
    {
        "compact": CompactBackbone,
        "unet": convolutional.unet,
        "basic_unet": convolutional.basic_unet,
        "basic_unet_plus_plus": convolutional.basic_unet_plus_plus,
        "attention_unet": convolutional.attention_unet,
        "dynunet": convolutional.dynunet,
        "dynunet_residual": convolutional.dynunet_residual,
        "segresnet": convolutional.segresnet,
        "mednext": convolutional.mednext,
        "vnet": convolutional.vnet,
        "swin_unetr": attentional.swin_unetr,
        "unetr": attentional.unetr,
    }
)
"""Name -> builder of an untrained backbone from its feature widths, fine to coarse. All but `compact` need MONAI."""


def build_backbone(name: str, widths: Sequence[int]) -> Backbone:
    """An untrained backbone by name.

    Raises UsageError: E_BACKBONE for an unknown name, with the nearest ones or the reason why it is left out,
    E_BACKBONE_WIDTHS for widths that it cannot have, E_EXTRA when MONAI is missing.
    """
    if name in BACKBONES:
        return BACKBONES[name](widths)
    plain = name.lower().translate(str.maketrans("-+ ", "___"))
    joined = plain.replace("_", "")
    reason = next((why for left, why in LEFT_OUT.items() if left.replace("_", "") == joined), None)
    what = f"No backbone is called {name[:60]!r}" if reason is None else f"{name[:60]!r} is no backbone here: {reason}"
    near = [found for found, _, _ in process.extract(plain, list(BACKBONES), scorer=fuzz.WRatio, score_cutoff=60)]
    remedy = f"Nearest: {', '.join(near[:3])}." if near else f"Known: {', '.join(BACKBONES)}."
    raise UsageError("E_BACKBONE", f"{what}.", remedy)
