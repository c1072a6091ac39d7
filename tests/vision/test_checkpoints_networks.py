"""Rebuilt networks answer as the publishers' own, tensor by tensor, traps included."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.networks.nets import SegResNet, SwinUNETR, vista3d132
from monai.networks.nets.swin_unetr import PatchMerging
from torch import Tensor

from tests.vision.checkpoint_files import (
    Answer,
    Tensors,
    as_monai_13,
    save_checkpoint,
    segresnet,
    text_driven,
    vista3d,
)
from vision.errors import WeightsError
from vision.models.checkpoints.convert import open_checkpoint, write_model
from vision.models.checkpoints.layouts import recognise
from vision.models.checkpoints.networks import build_network
from vision.models.checkpoints.report import compare
from vision.models.checkpoints.swin import EarlyPatchMerging
from vision.models.checkpoints.text_driven import class_logits
from vision.models.checkpoints.unet3d import ConvUnit, UNet3d
from vision.models.checkpoints.windowed import WindowedSegmenter, load_windowed
from vision.models.registry import find_model

CLASSES = torch.tensor([4, 0, 7, 8])


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


def converted(folder: Path, tensors: Tensors, *, order: str | None = None) -> WindowedSegmenter:
    """The segmenter of a checkpoint that went through its file, the conversion and the loader."""
    checkpoint = open_checkpoint(save_checkpoint(folder / "published.pth", tensors), order=order)
    write_model(checkpoint, "converted", folder)
    return load_windowed(find_model("converted", folder), device="cpu")


def require_equal(segmenter: WindowedSegmenter, answer: Answer, size: tuple[int, int, int]) -> None:
    """The same logits on random input, up to the order of additions, and different ones for each class."""
    volume = torch.rand(1, 1, *size)
    found, wanted = segmenter.network(volume, CLASSES), answer(volume)[:, CLASSES]
    assert found.shape == (1, len(CLASSES), *size)
    spread = float(wanted.std())
    assert spread > 0.01
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), atol=1e-3 * spread)


@pytest.mark.parametrize(("backbone", "classes"), [("unet", 32), ("unet", 25), ("unet", 9), ("swinunetr", 32)])
def test_text_driven_network_answers_as_the_published_one(tmp_path: Path, backbone: str, classes: int) -> None:
    tensors, answer = text_driven(backbone, classes=classes)
    require_equal(converted(tmp_path, tensors), answer, (64, 32, 32))


def test_segresnet_answers_as_the_published_one(tmp_path: Path) -> None:
    tensors, answer = segresnet(classes=25)
    require_equal(converted(tmp_path, tensors, order="abdomenatlas1.1"), answer, (32, 16, 16))


def test_vista3d_answers_as_the_published_one(tmp_path: Path) -> None:
    tensors, answer = vista3d()
    require_equal(converted(tmp_path, tensors), answer, (32, 32, 32))


def test_vista3d_of_monai_13_gives_the_same_tensors(tmp_path: Path) -> None:
    tensors, _ = vista3d()
    today = open_checkpoint(save_checkpoint(tmp_path / "today.pt", tensors, prefix="network."))
    early = open_checkpoint(save_checkpoint(tmp_path / "early.pt", as_monai_13(tensors), prefix=""))
    assert early.report.matched == today.report.matched
    assert early.report.missing == early.report.unexpected == ()
    assert len(early.report.unused) == len(today.report.unused) + 1
    assert all(torch.equal(early.tensors[key], today.tensors[key]) for key in today.report.matched)


def test_merging_takes_the_corners_of_monai_09(tmp_path: Path) -> None:
    merging = EarlyPatchMerging(2)
    merging.norm = torch.nn.Identity()  # type: ignore[assignment]
    merging.reduction = torch.nn.Identity()  # type: ignore[assignment]
    i, j, k = torch.meshgrid(torch.arange(4.0), torch.arange(2.0), torch.arange(6.0), indexing="ij")
    tokens = torch.stack([100 * i + 10 * j + k, -i], dim=-1)[None]
    merged = merging(tokens)
    assert merged.shape == (1, 2, 1, 3, 16)
    # The block of (1, 0, 2) begins at voxel (2, 0, 4); (1, 1, 0) and (0, 1, 1) are in none of its eight places.
    assert merged[0, 1, 0, 2, 0::2].tolist() == [204, 304, 214, 205, 305, 214, 205, 315]
    assert merged[0, 1, 0, 2, 1::2].tolist() == [-2, -3, -2, -2, -3, -2, -2, -3]


def test_merging_pads_odd_sizes_with_zeros() -> None:
    merging = EarlyPatchMerging(1)
    merging.norm = torch.nn.Identity()  # type: ignore[assignment]
    merging.reduction = torch.nn.Identity()  # type: ignore[assignment]
    merged = merging(torch.ones(1, 3, 2, 2, 1))
    assert merged.shape == (1, 2, 1, 1, 8)
    assert merged[0, 1, 0, 0].tolist() == [1, 0, 1, 1, 0, 1, 1, 0]


def test_merging_of_planes_is_refused() -> None:
    with pytest.raises(ValueError, match="merges volumes only"):
        EarlyPatchMerging(2, spatial_dims=2)


def test_merging_of_monai_today_would_answer_otherwise() -> None:
    early, today = EarlyPatchMerging(4), PatchMerging(4)
    today.load_state_dict(early.state_dict())
    tokens = torch.randn(1, 8, 8, 8, 4)
    assert float((early(tokens) - today(tokens)).norm() / today(tokens).norm()) > 0.5


def test_network_of_monai_today_would_answer_otherwise(tmp_path: Path) -> None:
    tensors, _ = text_driven("swinunetr", classes=32)
    segmenter = converted(tmp_path, tensors)
    volume = torch.rand(1, 1, 64, 32, 32)
    bottleneck, _ = segmenter.network.backbone(volume)  # type: ignore[operator]
    today = SwinUNETR(in_channels=1, out_channels=1, feature_size=12)
    missing, _ = today.load_state_dict(
        {key.removeprefix("backbone."): value for key, value in tensors.items() if key.startswith("backbone.")},
        strict=False,
    )
    assert sorted(missing) == ["out.conv.conv.bias", "out.conv.conv.weight"]
    other = today.eval().encoder10(today.swinViT(volume, True)[4])
    assert float((bottleneck - other).norm() / bottleneck.norm()) > 0.05


def test_window_is_normalised_by_its_own_statistics_whatever_came_before(tmp_path: Path) -> None:
    tensors, answer = text_driven("unet", classes=9)
    segmenter = converted(tmp_path, tensors)
    first, second = torch.rand(1, 1, 16, 16, 16), 5 + 3 * torch.rand(1, 1, 16, 16, 16)
    before = {key: value.clone() for key, value in segmenter.network.state_dict().items()}
    alone = segmenter.network(first, CLASSES)
    segmenter.network(second, CLASSES)
    again = segmenter.network(first, CLASSES)
    beside = segmenter.network(torch.cat([first, second]), CLASSES)[:1]
    assert torch.equal(alone, again)
    np.testing.assert_allclose(beside.numpy(), alone.numpy(), atol=1e-4)
    assert all(torch.equal(before[key], value) for key, value in segmenter.network.state_dict().items())
    np.testing.assert_allclose(alone.numpy(), answer(first)[:, CLASSES].numpy(), atol=1e-4)


def test_running_statistics_of_the_file_would_answer_otherwise() -> None:
    unit, features = ConvUnit(1, 4), torch.rand(1, 1, 8, 8, 8)
    usual = torch.nn.BatchNorm3d(4).eval()
    usual.load_state_dict(unit.bn1.state_dict(), strict=False)
    convolved = unit.conv1(features)
    assert float((unit.bn1(convolved) - usual(convolved)).abs().mean()) > 0.1


def test_unet_gives_features_of_the_input_and_of_an_eighth_of_it() -> None:
    network = UNet3d(2)
    bottleneck, decoded = network(torch.rand(2, 1, 16, 8, 24))
    assert bottleneck.shape == (2, network.bottleneck_width, 2, 1, 3)
    assert decoded.shape == (2, network.decoded_width, 16, 8, 24)


def test_logits_of_a_class_do_not_depend_on_the_classes_beside_it() -> None:
    features, weights = torch.randn(1, 8, 4, 4, 4), torch.randn(1, 11, 153)
    together = class_logits(features, weights)
    alone = torch.cat([class_logits(features, weights[:, place : place + 1]) for place in range(11)], dim=1)
    np.testing.assert_allclose(together.numpy(), alone.numpy(), atol=1e-4)


def test_missing_monai_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"^E_MODEL_NEEDS_MONAI: .*pip install 'bodymaps-assistant\[train\]'"):
        build_network("vista3d", {"order": "vista3d", "base_width": 8})


def full_counts(kind: str, tensors: dict[str, Tensor], *, order: str | None = None) -> tuple[int, int, int]:
    """Tensors of the file, of the network, and of the file that the network does without; the file must be whole."""
    layout = recognise({key: tuple(value.shape) for key, value in tensors.items()}, order=order)
    assert layout.kind == kind
    network = build_network(kind, layout.network)
    wanted = {key: tuple(value.shape) for key, value in network.state_dict().items() if value.is_floating_point()}
    report = compare(wanted, tensors, layout.is_unused)
    report.require_whole()
    assert report.unexpected == ()
    return len(tensors), len(report.matched), len(report.unused)


def published(backbone: str) -> dict[str, Tensor]:
    """The tensors of a published text-driven network at full size."""
    tensors, _ = text_driven(backbone, classes=32, width={"unet": 32, "swinunetr": 48}[backbone])
    sizes = {
        "organ_embedding": (32, 512),
        "controller.weight": (153, 512, 1, 1, 1),
        "text_to_vision.weight": (256, 512),
    }
    sizes |= {"text_to_vision.bias": (256,), "GAP.3.bias": (256,)}
    sizes["GAP.3.weight"] = (256, tensors["GAP.3.weight"].shape[1], 1, 1, 1)
    return {**tensors, **{key: torch.zeros(size) for key, size in sizes.items()}}


@pytest.mark.slow
def test_full_swinunetr_has_170_tensors() -> None:
    assert full_counts("universal_swinunetr", published("swinunetr")) == (170, 162, 8)


@pytest.mark.slow
def test_full_unet_has_117_tensors() -> None:
    assert full_counts("universal_unet", published("unet")) == (117, 75, 42)


@pytest.mark.slow
def test_full_segresnet_has_83_tensors() -> None:
    network = SegResNet(blocks_down=[1, 2, 2, 4], blocks_up=[1, 1, 1], init_filters=16, in_channels=1, out_channels=25)
    assert full_counts("suprem_segresnet", network.state_dict(), order="universal25") == (83, 83, 0)


@pytest.mark.slow
def test_full_vista3d_has_259_tensors() -> None:
    assert full_counts("vista3d", vista3d132(in_channels=1).state_dict()) == (259, 122, 137)
