"""Tiny checkpoints in the key layouts of the published ones, and what their own networks would answer.

The networks here are written after the publishers' descriptions and not with the code under test: batch norm that runs
in training mode for ever, one grouped convolution a layer of the head, patches merged corner by corner.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from monai.networks.nets import SegResNet, SwinUNETR, vista3d132
from torch import Tensor, nn
from torch.nn import functional

Tensors = dict[str, Tensor]
Answer = Callable[[Tensor], Tensor]
"""(1, 1, I, J, K) in [0, 1] -> logits of every class (1, C, I, J, K)."""

VISION, TEXT = 8, 12


class EverTrainingNorm(nn.BatchNorm3d):
    """Normalises by the batch's own statistics in use too, and moves its running ones."""

    def forward(self, features: Tensor) -> Tensor:
        return functional.batch_norm(
            features, self.running_mean, self.running_var, self.weight, self.bias, True, self.momentum or 0.0, self.eps
        )


class SourceUnit(nn.Module):
    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(width_in, width_out, 3, padding=1)
        self.bn1 = EverTrainingNorm(width_out)

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(self.bn1(self.conv1(features)))


def source_level(*units: tuple[int, int], up: int = 0) -> nn.ModuleDict:
    """`ops`, and `up_conv` on the way up, as the levels of the U-Net call them."""
    parts: dict[str, nn.Module] = {"ops": nn.Sequential(*(SourceUnit(*widths) for widths in units))}
    if up:
        parts["up_conv"] = nn.ConvTranspose3d(up, up, 2, stride=2)
    return nn.ModuleDict(parts)


class SourceUNet(nn.Module):
    """32 is the published width."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.down_tr64 = source_level((1, w), (w, 2 * w))
        self.down_tr128 = source_level((2 * w, 2 * w), (2 * w, 4 * w))
        self.down_tr256 = source_level((4 * w, 4 * w), (4 * w, 8 * w))
        self.down_tr512 = source_level((8 * w, 8 * w), (8 * w, 16 * w))
        self.up_tr256 = source_level((24 * w, 8 * w), (8 * w, 8 * w), up=16 * w)
        self.up_tr128 = source_level((12 * w, 4 * w), (4 * w, 4 * w), up=8 * w)
        self.up_tr64 = source_level((6 * w, 2 * w), (2 * w, 2 * w), up=4 * w)

    def forward(self, volume: Tensor) -> tuple[Tensor, Tensor]:
        kept, features = [], volume
        for level in (self.down_tr64, self.down_tr128, self.down_tr256):
            kept.append(level["ops"](features))
            features = functional.max_pool3d(kept[-1], 2)
        bottleneck = features = self.down_tr512["ops"](features)
        for level in (self.up_tr256, self.up_tr128, self.up_tr64):
            features = level["ops"](torch.cat([level["up_conv"](features), kept.pop()], 1))
        return bottleneck, features


class SourceMerging(nn.Module):
    """The patch merging of MONAI 0.9: of eight corners two are taken twice and two never."""

    def __init__(self, dim: int, norm_layer: type[nn.LayerNorm], spatial_dims: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(8 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(8 * dim)

    def forward(self, x: Tensor) -> Tensor:
        corners = [
            x[:, 0::2, 0::2, 0::2],
            x[:, 1::2, 0::2, 0::2],
            x[:, 0::2, 1::2, 0::2],
            x[:, 0::2, 0::2, 1::2],
            x[:, 1::2, 0::2, 1::2],
            x[:, 0::2, 1::2, 0::2],
            x[:, 0::2, 0::2, 1::2],
            x[:, 1::2, 1::2, 1::2],
        ]
        return self.reduction(self.norm(torch.cat(corners, -1)))


def source_swin(width: int) -> tuple[nn.Module, Callable[[Tensor], tuple[Tensor, Tensor]]]:
    """MONAI's Swin UNETR with that merging, without its own head, and how its two outputs are had. 48 is published."""
    network = SwinUNETR(in_channels=1, out_channels=1, feature_size=width, downsample=SourceMerging)  # type: ignore[arg-type]
    network.out = nn.Identity()  # type: ignore[assignment]
    seen: Tensors = {}
    network.encoder10.register_forward_hook(lambda module, given, result: seen.update(bottleneck=result))

    def features(volume: Tensor) -> tuple[Tensor, Tensor]:
        decoded = network(volume)
        return seen["bottleneck"], decoded

    return network, features


def head_tensors(bottleneck: int, decoded: int, classes: int) -> Tensors:
    """The tensors of the text-driven head: 256 and 512 are the published widths of vision and text."""
    shapes = {
        "organ_embedding": (classes, TEXT),
        "precls_conv.0.weight": (decoded,),
        "precls_conv.0.bias": (decoded,),
        "precls_conv.2.weight": (8, decoded, 1, 1, 1),
        "precls_conv.2.bias": (8,),
        "GAP.0.weight": (bottleneck,),
        "GAP.0.bias": (bottleneck,),
        "GAP.3.weight": (VISION, bottleneck, 1, 1, 1),
        "GAP.3.bias": (VISION,),
        "controller.weight": (153, 2 * VISION, 1, 1, 1),
        "controller.bias": (153,),
        "text_to_vision.weight": (VISION, TEXT),
        "text_to_vision.bias": (VISION,),
    }
    return {key: 0.3 * torch.randn(shape) for key, shape in shapes.items()}


def head_logits(head: Tensors, bottleneck: Tensor, decoded: Tensor) -> Tensor:
    """The head as its paper draws it: a grouped convolution for each of its three layers, a group for each class."""
    count = len(head["organ_embedding"])
    groups = math.gcd(16, bottleneck.shape[1]), math.gcd(16, decoded.shape[1])
    pooled = functional.group_norm(bottleneck, groups[0], head["GAP.0.weight"], head["GAP.0.bias"]).relu()
    seen = functional.conv3d(pooled.mean((2, 3, 4), keepdim=True), head["GAP.3.weight"], head["GAP.3.bias"])
    said = functional.linear(head["organ_embedding"], head["text_to_vision.weight"], head["text_to_vision.bias"]).relu()
    both = torch.cat([seen.repeat(count, 1, 1, 1, 1), said[:, :, None, None, None]], 1)
    numbers = functional.conv3d(both, head["controller.weight"], head["controller.bias"]).flatten(1)
    features = functional.group_norm(
        decoded, groups[1], head["precls_conv.0.weight"], head["precls_conv.0.bias"]
    ).relu()
    features = functional.conv3d(features, head["precls_conv.2.weight"], head["precls_conv.2.bias"])
    answer, place = features.repeat(1, count, 1, 1, 1), 0
    biases = iter(((136, 8), (144, 8), (152, 1)))
    for rows in (8, 8, 1):
        weight = numbers[:, place : place + 8 * rows].reshape(count * rows, 8, 1, 1, 1)
        start, size = next(biases)
        bias = numbers[:, start : start + size].reshape(-1)
        answer = functional.conv3d(answer, weight, bias, groups=count)
        answer = answer.relu() if rows == 8 else answer
        place += 8 * rows
    return answer


def text_driven(backbone: str, *, classes: int, width: int | None = None) -> tuple[Tensors, Answer]:
    """The tensors of a Universal Model or SuPreM network, 'unet' or 'swinunetr', and its answers."""
    if backbone == "unet":
        network: nn.Module = SourceUNet(width or 2)
        features: Callable[[Tensor], tuple[Tensor, Tensor]] = network
        widths = 16 * (width or 2), 2 * (width or 2)
    else:
        network, features = source_swin(width or 12)
        widths = 16 * (width or 12), width or 12
    shake(network)
    head = head_tensors(*widths, classes)
    tensors = {f"backbone.{key}": value.clone() for key, value in network.state_dict().items()}
    return {**tensors, **head}, lambda volume: head_logits(head, *features(volume))


def segresnet(*, classes: int, width: int = 8) -> tuple[Tensors, Answer]:
    """The tensors of SuPreM's SegResNet and its answers; 16 is the published width."""
    network = SegResNet(
        blocks_down=[1, 2, 2, 4], blocks_up=[1, 1, 1], init_filters=width, in_channels=1, out_channels=classes
    )
    shake(network)
    return dict(network.state_dict()), network


def vista3d(*, width: int = 8) -> tuple[Tensors, Answer]:
    """The tensors of VISTA3D as MONAI calls them since 1.4, and its answers for every row of its table of classes."""
    network = vista3d132(encoder_embed_dim=width)
    shake(network)
    everything = torch.arange(512)[:, None]

    def answer(volume: Tensor) -> Tensor:
        return network(volume, class_vector=everything, transpose=True)

    return dict(network.state_dict()), answer


def as_monai_13(tensors: Mapping[str, Tensor]) -> Tensors:
    """VISTA3D's tensors as MONAI 1.3's research code calls them: other names, and more of them, in the click branch."""
    renamed = {
        key.replace(".linear1.", ".lin1.").replace(".linear2.", ".lin2."): value for key, value in tensors.items()
    }
    return {**renamed, "point_head.output_add_hypernetworks_mlps.0.layers.0.weight": torch.zeros(8, 8)}


def shake(network: nn.Module) -> None:
    """Give every number of a network a value of its own, norms too, and stop it from training."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    network.eval()


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], *, prefix: str = "module.") -> Path:
    """A file as the trainers write it: the weights of a distributed network beside its optimiser."""
    content: dict[str, Any] = {
        "net": {f"{prefix}{key}": value for key, value in tensors.items()},
        "optimizer": {"state": {0: {"step": torch.tensor(7.0)}}, "param_groups": [{"lr": 1e-4, "params": [0]}]},
        "scheduler": {"last_epoch": 3, "_last_lr": [1e-4]},
        "epoch": 3,
    }
    torch.save(content, path)
    return path
