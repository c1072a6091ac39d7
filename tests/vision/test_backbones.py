"""The table of backbones: every entry gives features of the sizes that it says, trains whole."""

from __future__ import annotations

import importlib.util
import sys

import pytest
import torch
from torch import nn

from vision.errors import UsageError
from vision.models.backbone_names import BACKBONE_NAMES, LEFT_OUT
from vision.models.backbones import BACKBONES, build_backbone
from vision.models.universal.network import UniversalConfig, UniversalNetwork, unblock

SMALL = {
    "compact": (8, 12, 16),
    "unet": (8, 12, 16),
    "basic_unet": (4, 6, 8, 10, 12),
    "basic_unet_plus_plus": (4, 6, 8, 10, 12),
    "attention_unet": (8, 12, 16),
    "dynunet": (4, 6, 8, 10),
    "dynunet_residual": (4, 6, 8),
    "segresnet": (8, 16, 32),
    "mednext": (4, 8, 16),
    "vnet": (4, 4, 8, 16, 32),
    "swin_unetr": (12, 12, 24, 48, 96, 192),
    "unetr": (4, 8, 16, 32, 24),
}
"""Widths that make each of them small enough for a test."""
WITH_MONAI = importlib.util.find_spec("monai") is not None and importlib.util.find_spec("einops") is not None
needs_monai = pytest.mark.skipif(not WITH_MONAI, reason="MONAI is not installed")
every_backbone = pytest.mark.parametrize(
    "name", [name if name == "compact" else pytest.param(name, marks=needs_monai) for name in BACKBONES]
)
OWN_FORWARD = ("unet", "basic_unet", "attention_unet", "segresnet", "mednext", "swin_unetr")
"""Networks of MONAI whose own forward gives the decoded features once the last convolution is taken away."""


def small(name: str) -> nn.Module:
    torch.manual_seed(0)
    backbone = build_backbone(name, SMALL[name])
    assert isinstance(backbone, nn.Module)
    return backbone


def volumes(multiple: int, *, batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand((batch, 1, 2 * multiple, multiple, multiple), generator=generator) * 2 - 1


def test_every_backbone_is_in_this_test_and_in_the_light_list() -> None:
    assert SMALL.keys() == BACKBONES.keys()
    assert tuple(BACKBONES) == BACKBONE_NAMES


@every_backbone
def test_backbone_gives_features_of_the_sizes_that_it_says_and_trains_whole(name: str) -> None:
    backbone = small(name)
    volume = volumes(backbone.multiple)
    features = backbone(volume)
    size = tuple(n // backbone.stride for n in volume.shape[2:])
    assert features.decoded.shape == (2, backbone.width, *size)
    assert features.bottleneck.shape[:2] == (2, backbone.bottleneck_width)
    assert min(features.bottleneck.shape[2:]) == 1
    (features.decoded.square().mean() + features.bottleneck.square().mean()).backward()
    for key, parameter in backbone.named_parameters():
        assert parameter.grad is not None, key
        assert bool(torch.isfinite(parameter.grad).all()), key
        assert bool(parameter.grad.any()), key


@every_backbone
def test_backbone_keeps_no_statistics_and_a_batch_of_two_equals_two_of_one(name: str) -> None:
    backbone = small(name)
    assert [key for key, _ in backbone.named_buffers() if "running" in key or "batches" in key] == []
    backbone.eval()
    volume = volumes(backbone.multiple)
    with torch.no_grad():
        both, again = backbone(volume), backbone(volume)
        for number in range(2):
            one = backbone(volume[number : number + 1])
            torch.testing.assert_close(one.decoded[0], both.decoded[number], rtol=1e-3, atol=1e-3)
            torch.testing.assert_close(one.bottleneck[0], both.bottleneck[number], rtol=1e-3, atol=1e-3)
    assert torch.equal(both.decoded, again.decoded)
    assert torch.equal(both.bottleneck, again.bottleneck)


@every_backbone
def test_backbone_refuses_sizes_that_are_no_multiples(name: str) -> None:
    backbone = small(name)
    with pytest.raises(ValueError, match=f"are not multiples of {backbone.multiple}"):
        backbone(torch.zeros(1, 1, 2 * backbone.multiple, backbone.multiple, backbone.multiple + 1))


@needs_monai
@pytest.mark.parametrize("name", OWN_FORWARD)
def test_features_are_those_of_the_network_as_monai_runs_it(name: str) -> None:
    backbone = small(name).eval()
    volume = volumes(backbone.multiple, batch=1)
    with torch.no_grad():
        torch.testing.assert_close(backbone(volume).decoded, backbone.net(volume))


@needs_monai
def test_dynunet_and_unet_plus_plus_and_unetr_give_the_features_that_monai_gives() -> None:
    from monai.networks import nets

    kernels, strides = [3, 3, 3, 3], [1, 2, 2, 2]
    whole = {
        "dynunet": (nets.DynUNet(3, 1, 1, kernels, strides, strides[1:], filters=SMALL["dynunet"]), "output_block"),
        "basic_unet_plus_plus": (
            nets.BasicUNetPlusPlus(3, 1, 1, features=(*SMALL["basic_unet_plus_plus"], 4), bias=False),
            "final_conv_0_4",
        ),
        "unetr": (nets.UNETR(1, 1, 96, feature_size=4, hidden_size=24, mlp_dim=96, num_heads=1), "out"),
    }
    for name, (net, last) in whole.items():
        backbone = small(name).eval()
        net.load_state_dict(backbone.net.state_dict(), strict=False)
        net.register_module(last, nn.Identity())
        volume = torch.rand(1, 1, 96, 96, 96) if name == "unetr" else volumes(backbone.multiple, batch=1)
        with torch.no_grad():
            given = net.eval()(volume)
            torch.testing.assert_close(backbone(volume).decoded, given[0] if isinstance(given, list) else given)


@every_backbone
def test_universal_network_works_with_every_backbone(name: str) -> None:
    torch.manual_seed(0)
    config = UniversalConfig(
        ("liver", "spleen"), backbone=name, widths=SMALL[name], fine_widths=(8, 12), query_width=8, hidden=8
    )
    network = UniversalNetwork(config).eval()
    multiple = network.backbone.multiple
    volume = volumes(multiple, batch=1)
    size = tuple(volume.shape[2:])
    with torch.no_grad():
        queries = network.queries(config.structures)
        features = network.see(volume)
        coarse = unblock(network.coarse(features, queries), size)
        fine = network.fine_features(volumes(2 * multiple, batch=1), features.decoded)
        refined = network.refine(fine, features.bottleneck, coarse, queries)
    assert coarse.shape == (1, 2, *size)
    assert fine.shape == (1, 8, *size)
    assert unblock(refined, tuple(2 * n for n in size)).shape == (1, 2, *(2 * n for n in size))


@needs_monai
@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("segresnet", (8, 16, 24)),
        ("mednext", (8,)),
        ("vnet", (32, 64, 128, 256)),
        ("swin_unetr", (16, 16, 32, 64, 128, 256)),
        ("unetr", (16, 32, 64, 128, 129)),
        ("unetr", (16, 32, 64)),
        ("basic_unet", (8, 16, 32)),
        ("basic_unet_plus_plus", (8, 16, 32, 64, 128, 256)),
        ("dynunet", (8, 16)),
        ("attention_unet", (8,)),
        ("unet", (7, 14)),
    ],
)
def test_widths_that_a_network_cannot_have_are_refused(name: str, widths: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="E_BACKBONE_WIDTHS"):
        build_backbone(name, widths)


def test_unknown_backbone_names_the_nearest_and_why_some_are_left_out() -> None:
    with pytest.raises(UsageError, match=r"E_BACKBONE: No backbone is called 'swinunetr'.*Nearest: swin_unetr"):
        build_backbone("swinunetr", (8, 16))
    with pytest.raises(UsageError, match=r"Known: compact, unet, "):
        build_backbone("qqq", (8, 16))
    with pytest.raises(UsageError, match="'Trans-UNet' is no backbone here: two-dimensional"):
        build_backbone("Trans-UNet", (8, 16))
    assert LEFT_OUT.keys().isdisjoint(BACKBONES)


def test_missing_monai_is_said_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "monai", None)
    with pytest.raises(UsageError, match=r"E_EXTRA: .*MONAI.*pip install 'bodymaps-assistant\[train\]'"):
        build_backbone("segresnet", (8, 16, 32))
    assert build_backbone("compact", SMALL["compact"]).stride == 2
