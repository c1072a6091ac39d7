"""The tensors of an installed model, read once and checked against the network that they are for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from vision.errors import WeightsError
from vision.models.registry import ModelEntry
from vision.models.weights_file import INSTALL_AGAIN, StoredTensor, read_weights

Shapes = Mapping[str, tuple[int, ...]]
"""Name of a tensor -> its shape."""


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """The learned tensors of a network; its tables of integers are computed."""
    return {key: tuple(tensor.shape) for key, tensor in network.state_dict().items() if tensor.is_floating_point()}


def read_tensors(entry: ModelEntry, wanted: Shapes) -> dict[str, Tensor]:
    """The tensors of an installed model. Raises as `read_file`."""
    return read_file(entry.file, wanted, sha256=entry.sha256, title=entry.title)


def read_file(file: Path, wanted: Shapes, *, sha256: str, title: str) -> dict[str, Tensor]:
    """The tensors of a file called `title` in float32, exactly those that are wanted.

    Raises WeightsError as `read_weights` does, E_WEIGHTS_MISMATCH for tensors of another network and
    E_WEIGHTS_NONFINITE for NaN or infinity, both naming the first bad tensor.
    """
    content, stored = read_weights(file, sha256)
    _require_fit(wanted, stored, title)
    try:
        tensors = load(content)
    except SafetensorError:
        raise WeightsError("E_WEIGHTS_CORRUPT", f"{title} is no safetensors file.", INSTALL_AGAIN) from None
    for key, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(
                "E_WEIGHTS_NONFINITE", f"{title} has numbers that are not finite in {key!r}.", INSTALL_AGAIN
            )
    return {key: tensor.float() for key, tensor in tensors.items()}


def _require_fit(wanted: Shapes, stored: Mapping[str, StoredTensor], title: str) -> None:
    """Refuse a table of tensors that is not the network's own."""
    missing = next((key for key in wanted if key not in stored), None)
    unexpected = next((key for key in stored if key not in wanted), None)
    other = next((key for key, shape in wanted.items() if key in stored and stored[key].shape != shape), None)
    if missing is not None:
        what = f"{title} lacks the tensor {missing!r}"
    elif unexpected is not None:
        what = f"{title} has the tensor {unexpected[:80]!r}, which its network does not"
    elif other is not None:
        what = f"{title} has the tensor {other!r} of shape {stored[other].shape}, its network needs {wanted[other]}"
    else:
        return
    raise WeightsError(
        "E_WEIGHTS_MISMATCH", f"{what}.", "Put the description and the weights of one and the same export together."
    )
