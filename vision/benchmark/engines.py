"""Engines that can run the coarse and the fine pass of a universal network: torch in several ways, and others."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from vision.extras import missing_packages, require_packages
from vision.models.backbones.features import Features
from vision.models.universal.network import UniversalNetwork

OPSET = 18


@dataclass(frozen=True)
class Passes:
    """A network in an engine. `coarse` is `UniversalNetwork.see`, `fine` is `UniversalNetwork.fine_features`."""

    coarse: Callable[[Tensor], Features]
    fine: Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Inputs:
    """What the passes are run on: a scan (1, 1, I, J, K), scaled HU, a region of it (coarse voxels, of sizes i, j, k)
    and the same region near, (1, 1, 2 i, 2 j, 2 k)."""

    scan: Tensor
    region: tuple[slice, slice, slice]
    near: Tensor

    def context(self, decoded: Tensor) -> Tensor:
        """The part of the scan's decoded features that lies in the region."""
        stride = self.scan.shape[2] // decoded.shape[2]
        i, j, k = (slice(span.start // stride, span.stop // stride) for span in self.region)
        return decoded[:, :, i, j, k]


class _Near(nn.Module):
    """The fine pass as a module of its own, for engines that convert modules."""

    def __init__(self, network: UniversalNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, volume: Tensor, decoded: Tensor) -> Tensor:
        return self.network.fine_features(volume, decoded)


class _Far(nn.Module):
    """The coarse pass as a module that gives a pair of tensors."""

    def __init__(self, network: UniversalNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, volume: Tensor) -> tuple[Tensor, Tensor]:
        features = self.network.see(volume)
        return features.decoded, features.bottleneck


def torch_fp32(network: UniversalNetwork, inputs: Inputs) -> Passes:
    """The network as it is."""
    return Passes(network.see, network.fine_features)


def torch_bf16(network: UniversalNetwork, inputs: Inputs) -> Passes:
    """Under autocast."""
    return _within(torch_fp32(network, inputs), lambda: torch.autocast(inputs.scan.device.type, torch.bfloat16))


def torch_channels_last(network: UniversalNetwork, inputs: Inputs) -> Passes:
    """Channels of a voxel side by side in memory."""
    laid: UniversalNetwork = copy.deepcopy(network).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def coarse(volume: Tensor) -> Features:
        return laid.see(volume.contiguous(memory_format=torch.channels_last_3d))

    def fine(volume: Tensor, decoded: Tensor) -> Tensor:
        return laid.fine_features(volume, decoded.contiguous(memory_format=torch.channels_last_3d))

    return Passes(coarse, fine)


def torch_channels_last_bf16(network: UniversalNetwork, inputs: Inputs) -> Passes:
    """Both: what `pick_runtime` chooses on hardware that computes in bfloat16."""
    kind = inputs.scan.device.type
    return _within(torch_channels_last(network, inputs), lambda: torch.autocast(kind, torch.bfloat16))


def torch_compiled(network: UniversalNetwork, inputs: Inputs) -> Passes:
    """By TorchInductor, for exactly these sizes: another scan or region is compiled again."""
    copied = copy.deepcopy(network)
    return Passes(torch.compile(copied.see, dynamic=False), torch.compile(copied.fine_features, dynamic=False))


def openvino_fp32(network: UniversalNetwork, inputs: Inputs) -> Passes:
    """OpenVINO, sizes left open."""
    return _openvino(network, inputs, precision="f32")


def openvino_bf16(network: UniversalNetwork, inputs: Inputs) -> Passes:
    """OpenVINO, sizes left open, bfloat16 where it can."""
    return _openvino(network, inputs, precision="bf16")


def onnx_runtime(network: UniversalNetwork, inputs: Inputs) -> Passes:
    """ONNX Runtime on the CPU, sizes left open, fp32."""
    require_installed("onnx", "onnxruntime")
    import onnxruntime

    sessions = []
    for module, example, names in _modules(network, inputs):
        content = io.BytesIO()
        axes = {name: {2: f"{name}_i", 3: f"{name}_j", 4: f"{name}_k"} for name in names}
        torch.onnx.export(
            module,
            example,
            content,  # type: ignore[arg-type]
            input_names=names,
            dynamic_axes=axes,
            dynamo=False,
            opset_version=OPSET,
        )
        sessions.append(onnxruntime.InferenceSession(content.getvalue(), providers=["CPUExecutionProvider"]))

    def coarse(volume: Tensor) -> Features:
        decoded, bottleneck = sessions[0].run(None, {"volume": volume.numpy()})
        return Features(torch.from_numpy(decoded), torch.from_numpy(bottleneck))

    def fine(volume: Tensor, decoded: Tensor) -> Tensor:
        (features,) = sessions[1].run(None, {"volume": volume.numpy(), "decoded": decoded.contiguous().numpy()})
        return torch.from_numpy(features)

    return Passes(coarse, fine)


ENGINES: MappingProxyType[str, Callable[[UniversalNetwork, Inputs], Passes]] = MappingProxyType(
    {
        "torch fp32": torch_fp32,
        "torch bf16": torch_bf16,
        "torch fp32, channels_last_3d": torch_channels_last,
        "torch bf16, channels_last_3d": torch_channels_last_bf16,
        "torch.compile fp32": torch_compiled,
        "OpenVINO fp32": openvino_fp32,
        "OpenVINO bf16": openvino_bf16,
        "ONNX Runtime fp32": onnx_runtime,
    }
)
"""Name -> how a network is put into it. The first is what the others are compared with."""


def require_installed(*packages: str) -> None:
    """Raise UsageError E_EXTRA, with the command that installs them, unless all packages are there."""
    require_packages("This engine", *packages, install=" ".join(missing_packages(*packages)))


def _openvino(network: UniversalNetwork, inputs: Inputs, *, precision: str) -> Passes:
    require_installed("openvino")
    import openvino

    core = openvino.Core()
    far, near = (
        core.compile_model(
            openvino.convert_model(module, example_input=example), "CPU", {"INFERENCE_PRECISION_HINT": precision}
        )
        for module, example, _ in _modules(network, inputs)
    )

    def coarse(volume: Tensor) -> Features:
        found = far([volume.numpy()])
        return Features(torch.from_numpy(found[0]), torch.from_numpy(found[1]))

    def fine(volume: Tensor, decoded: Tensor) -> Tensor:
        return torch.from_numpy(near([volume.numpy(), decoded.contiguous().numpy()])[0])

    return Passes(coarse, fine)


def _modules(network: UniversalNetwork, inputs: Inputs) -> list[tuple[nn.Module, tuple[Tensor, ...], list[str]]]:
    """Each pass as a module, with an example of what goes in, and its names."""
    context = inputs.context(network.see(inputs.scan).decoded).contiguous()
    return [
        (_Far(network).eval(), (inputs.scan,), ["volume"]),
        (_Near(network).eval(), (inputs.near, context), ["volume", "decoded"]),
    ]


def _within(passes: Passes, context: Callable[[], AbstractContextManager[Any]]) -> Passes:
    """The passes, each call within a context."""

    def coarse(volume: Tensor) -> Features:
        with context():
            return passes.coarse(volume)

    def fine(volume: Tensor, decoded: Tensor) -> Tensor:
        with context():
            return passes.fine(volume, decoded)

    return Passes(coarse, fine)
