"""Backbones out of convolutions: builders over MONAI's networks. The widths are one per level, fine to coarse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from vision.errors import UsageError
from vision.models.backbones.features import Features
from vision.models.backbones.monai_backbone import (
    MonaiBackbone,
    doubling,
    monai_networks,
    require_widths,
    without_batch_statistics,
)


def unet(widths: Sequence[int]) -> MonaiBackbone:
    """The residual U-Net (Kerfoot et al., 2018): two residual units a level, strided convolutions between them."""
    require_levels("unet", widths, least=2)
    net = monai_networks().UNet(3, 1, widths[0], channels=widths, strides=[2] * (len(widths) - 1), num_res_units=2)
    return MonaiBackbone(net, _run_unet, widths=widths)


def _run_unet(net: Any, volume: Tensor) -> Features:
    return Features(*_descend_unet(net.model, volume))


def _descend_unet(layer: Any, features: Tensor) -> tuple[Tensor, Tensor]:
    """A layer is (down, skip around the next layer, up); what the last one skips around is the bottleneck."""
    down, skip, up = layer
    fine = down(features)
    if isinstance(skip.submodule, nn.Sequential):
        coarse, bottleneck = _descend_unet(skip.submodule, fine)
    else:
        coarse = bottleneck = skip.submodule(fine)
    return up(torch.cat([fine, coarse], dim=1)), bottleneck


def basic_unet(widths: Sequence[int]) -> MonaiBackbone:
    """The plain U-Net of five levels (Falk et al., 2019) with instance normalisation."""
    require_levels("basic_unet", widths, least=5, most=5)
    net = monai_networks().BasicUNet(3, 1, 1, features=(*widths, widths[0]), bias=False)
    net.final_conv = nn.Identity()
    return MonaiBackbone(net, _run_basic_unet, widths=widths)


def _run_basic_unet(net: Any, volume: Tensor) -> Features:
    kept = [net.conv_0(volume)]
    for down in (net.down_1, net.down_2, net.down_3, net.down_4):
        kept.append(down(kept[-1]))
    features = kept[4]
    for level, up in ((3, net.upcat_4), (2, net.upcat_3), (1, net.upcat_2), (0, net.upcat_1)):
        features = up(features, kept[level])
    return Features(features, kept[4])


def basic_unet_plus_plus(widths: Sequence[int]) -> MonaiBackbone:
    """UNet++ of five levels (Zhou et al., 2018): every skip passes through nodes that see the coarser levels."""
    require_levels("basic_unet_plus_plus", widths, least=5, most=5)
    net = monai_networks().BasicUNetPlusPlus(3, 1, 1, features=(*widths, widths[0]), bias=False)
    del net.final_conv_0_1, net.final_conv_0_2, net.final_conv_0_3, net.final_conv_0_4
    return MonaiBackbone(net, _run_basic_unet_plus_plus, widths=widths)


def _run_basic_unet_plus_plus(net: Any, volume: Tensor) -> Features:
    """Node (level, n) joins the n nodes before it on its level with node (level + 1, n - 1)."""
    ups = (
        (net.upcat_0_1, net.upcat_0_2, net.upcat_0_3, net.upcat_0_4),
        (net.upcat_1_1, net.upcat_1_2, net.upcat_1_3),
        (net.upcat_2_1, net.upcat_2_2),
        (net.upcat_3_1,),
    )
    rows = [[net.conv_0_0(volume)]]
    for down in (net.conv_1_0, net.conv_2_0, net.conv_3_0, net.conv_4_0):
        rows.append([down(rows[-1][0])])
    for number in range(4):
        for level in range(4 - number):
            row = rows[level]
            row.append(ups[level][number](rows[level + 1][number], torch.cat(row, dim=1)))
    return Features(rows[0][4], rows[4][0])


def attention_unet(widths: Sequence[int]) -> MonaiBackbone:
    """Attention U-Net (Oktay et al., 2018); its batch normalisations are instance normalisations here."""
    require_levels("attention_unet", widths, least=2)
    strides = [2] * (len(widths) - 1)
    net = monai_networks().AttentionUnet(3, 1, 1, channels=widths, strides=strides)
    net.model[2] = nn.Identity()
    return MonaiBackbone(without_batch_statistics(net), _run_attention_unet, widths=widths)


def _run_attention_unet(net: Any, volume: Tensor) -> Features:
    head, layers, _ = net.model
    return Features(*_descend_attention(layers, head(volume)))


def _descend_attention(layer: Any, fine: Tensor) -> tuple[Tensor, Tensor]:
    """A layer's submodule is (convolutions, next layer), or convolutions alone: those of the bottleneck."""
    if isinstance(layer.submodule, nn.Sequential):
        convolutions, following = layer.submodule
        coarse, bottleneck = _descend_attention(following, convolutions(fine))
    else:
        coarse = bottleneck = layer.submodule(fine)
    raised = layer.upconv(coarse)
    return layer.merge(torch.cat([layer.attention(g=raised, x=fine), raised], dim=1)), bottleneck


def dynunet(widths: Sequence[int]) -> MonaiBackbone:
    """nnU-Net's plain U-Net (Isensee et al., 2021): its usual widths are 32, 64, 128, 256, 320, 320."""
    return _dynunet(widths, "plain")


def dynunet_residual(widths: Sequence[int]) -> MonaiBackbone:
    """nnU-Net's U-Net with a residual block a level."""
    return _dynunet(widths, "residual")


def _dynunet(widths: Sequence[int], blocks: Literal["plain", "residual"]) -> MonaiBackbone:
    require_levels("dynunet", widths, least=3)
    strides = [1] + [2] * (len(widths) - 1)
    net = monai_networks().DynUNet(
        *(3, 1, 1, [3] * len(widths), strides, strides[1:]),
        filters=widths,
        res_block=blocks == "residual",
    )
    net.output_block = nn.Identity()
    # It holds every block a second time, nested, for TorchScript.
    del net.skip_layers
    return MonaiBackbone(net, _run_dynunet, widths=widths)


def _run_dynunet(net: Any, volume: Tensor) -> Features:
    kept = [net.input_block(volume)]
    for down in net.downsamples:
        kept.append(down(kept[-1]))
    features = bottleneck = net.bottleneck(kept[-1])
    for up, skip in zip(net.upsamples, reversed(kept), strict=True):
        features = up(features, skip)
    return Features(features, bottleneck)


def segresnet(widths: Sequence[int]) -> MonaiBackbone:
    """SegResNet (Myronenko, 2018): residual, group normalisation, light decoder. The widths double."""
    require_widths("segresnet", widths, doubling(widths))
    blocks = (1, *[2] * (len(widths) - 2), 4)
    groups = math.gcd(8, widths[0])
    net = monai_networks().SegResNet(
        init_filters=widths[0],
        norm=("GROUP", {"num_groups": groups}),
        blocks_down=blocks,
        blocks_up=(1,) * (len(widths) - 1),
    )
    net.conv_final[2] = nn.Identity()
    return MonaiBackbone(net, _run_segresnet, widths=widths)


def _run_segresnet(net: Any, volume: Tensor) -> Features:
    bottleneck, kept = net.encode(volume)
    return Features(net.decode(bottleneck, kept[::-1]), bottleneck)


def mednext(widths: Sequence[int]) -> MonaiBackbone:
    """MedNeXt-S (Roy et al., 2023): depthwise 3x3x3 convolutions, expansion 2, residual. The widths double."""
    require_widths("mednext", widths, doubling(widths))
    blocks = (2,) * (len(widths) - 1)
    net = monai_networks().MedNeXt(
        init_filters=widths[0],
        kernel_size=3,
        use_residual_connection=True,
        blocks_down=blocks,
        blocks_up=blocks,
    )
    net.out_0 = nn.Identity()
    return MonaiBackbone(net, _run_mednext, widths=widths)


def _run_mednext(net: Any, volume: Tensor) -> Features:
    features, kept = net.stem(volume), []
    for stage, down in zip(net.enc_stages, net.down_blocks, strict=True):
        kept.append(stage(features))
        features = down(kept[-1])
    features = bottleneck = net.bottleneck(features)
    for up, stage, skip in zip(net.up_blocks, net.dec_stages, reversed(kept), strict=True):
        features = stage(up(features) + skip)
    return Features(features, bottleneck)


def vnet(widths: Sequence[int]) -> MonaiBackbone:
    """V-Net (Milletari et al., 2016) at any scale of its widths 32, 32, 64, 128, 256: 5x5x5 convolutions, no dropout.

    MONAI's VNet is of one size; here its parts are put together as there, with instance normalisation.
    """
    require_widths("vnet", widths, (2, 2, 4, 8, 16))
    parts = monai_networks().vnet
    width, act = widths[0] // 2, ("elu", {"inplace": True})
    net = nn.Module()
    net.in_tr = parts.InputTransition(3, 1, width, act)
    net.down = nn.ModuleList(
        parts.DownTransition(3, width * 2**level, count, act) for level, count in enumerate((1, 2, 3, 2))
    )
    net.up = nn.ModuleList(
        parts.UpTransition(3, width * wide, width * narrow, count, act, dropout_prob=(None, 0.0))
        for wide, narrow, count in ((16, 16, 2), (16, 8, 2), (8, 4, 1), (4, 2, 1))
    )
    return MonaiBackbone(without_batch_statistics(net), _run_vnet, widths=widths)


def _run_vnet(net: Any, volume: Tensor) -> Features:
    kept = [net.in_tr(volume)]
    for down in net.down:
        kept.append(down(kept[-1]))
    features = bottleneck = kept.pop()
    for up, skip in zip(net.up, reversed(kept), strict=True):
        features = up(features, skip)
    return Features(features, bottleneck)


def require_levels(name: str, widths: Sequence[int], *, least: int, most: int = 9) -> None:
    """Raise UsageError E_BACKBONE_WIDTHS for too few or too many levels, or a width that cannot be halved."""
    if not least <= len(widths) <= most or any(width < 2 or width % 2 for width in widths):
        levels = f"{least}" if least == most else f"{least} to {most}"
        raise UsageError(
            "E_BACKBONE_WIDTHS",
            f"The backbone {name} cannot have the widths {tuple(widths)}.",
            f"Give {levels} even numbers.",
        )
