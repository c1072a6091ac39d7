"""Backbones with transformers in them: builders over MONAI's networks. The widths are one per level, fine to coarse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from vision.errors import UsageError
from vision.models.backbones.features import Features
from vision.models.backbones.monai_backbone import MonaiBackbone, monai_networks, require_widths

UNETR_PATCHES = 6
"""Patches along each axis for which UNETR learns positions: 96 voxels in patches of 16, as published."""
HEAD_WIDTH = 64
"""Width of one attention head of UNETR: 768 in 12 heads, as published."""


def swin_unetr(widths: Sequence[int]) -> MonaiBackbone:
    """Swin UNETR (Hatamizadeh et al., 2022): windows of 7 voxels, four stages. Widths f, f, 2f, 4f, 8f, 16f, f in 12s.

    The published sizes have f = 12, 24, 48.
    """
    require_widths("swin_unetr", widths, (1, 1, 2, 4, 8, 16), of=12)
    net = monai_networks().SwinUNETR(1, 1, feature_size=widths[0])
    net.out = nn.Identity()
    return MonaiBackbone(net, _run_swin_unetr, widths=widths)


def _run_swin_unetr(net: Any, volume: Tensor) -> Features:
    first, second, third, fourth, last = net.swinViT(volume, net.normalize)
    bottleneck = net.encoder10(last)
    features = net.decoder5(bottleneck, fourth)
    features = net.decoder4(features, net.encoder4(third))
    features = net.decoder3(features, net.encoder3(second))
    features = net.decoder2(features, net.encoder2(first))
    return Features(net.decoder1(features, net.encoder1(volume)), bottleneck)


def unetr(widths: Sequence[int]) -> MonaiBackbone:
    """UNETR (Hatamizadeh et al., 2022): a ViT of 12 layers over patches of 16. Widths f, 2f, 4f, 8f, hidden.

    MONAI's runs at the one size that it is built for. Here the learned positions are interpolated to the patches of
    the scan, as is usual for a ViT, so that it runs at any multiple of 16.
    """
    require_widths("unetr", widths[:-1], (1, 2, 4, 8))
    heads = max(1, widths[-1] // HEAD_WIDTH)
    if widths[-1] < 1 or widths[-1] % heads:
        what = f"The backbone unetr cannot have {widths[-1]} channels at the bottom."
        raise UsageError("E_BACKBONE_WIDTHS", what, f"Give a multiple of {HEAD_WIDTH} as the last width.")
    net = monai_networks().UNETR(
        *(1, 1, 16 * UNETR_PATCHES),
        feature_size=widths[0],
        hidden_size=widths[-1],
        mlp_dim=4 * widths[-1],
        num_heads=heads,
    )
    net.out = nn.Identity()
    for block in net.vit.blocks:
        # MONAI builds it for a cross-attention that a ViT has not, and never uses it.
        block.norm_cross_attn = nn.Identity()
    return MonaiBackbone(net, _run_unetr, widths=widths)


def _run_unetr(net: Any, volume: Tensor) -> Features:
    embedding = net.vit.patch_embedding
    patches = embedding.patch_embeddings(volume)
    learned = embedding.position_embeddings.mT.unflatten(2, (UNETR_PATCHES,) * 3)
    positions = functional.interpolate(learned, size=patches.shape[2:], mode="trilinear", align_corners=False)
    tokens = (patches + positions).flatten(2).mT
    kept = []
    for block in net.vit.blocks:
        tokens = block(tokens)
        kept.append(tokens.mT.unflatten(2, patches.shape[2:]))
    bottleneck = net.vit.norm(tokens).mT.unflatten(2, patches.shape[2:])
    features = net.decoder5(bottleneck, net.encoder4(kept[9]))
    features = net.decoder4(features, net.encoder3(kept[6]))
    features = net.decoder3(features, net.encoder2(kept[3]))
    return Features(net.decoder2(features, net.encoder1(volume)), bottleneck)
