"""Tensors that a new run may begin with."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from vision.errors import WeightsError
from vision.models.registry import find_model
from vision.models.tensors import read_tensors, shapes_of
from vision.models.universal.network import UniversalConfig, UniversalNetwork


def start_tensors(name: str) -> dict[str, Tensor]:
    """The tensors of an installed universal model, or of a run whose folder `name` is; a run takes those that fit.

    Raises WeightsError E_MODEL for a model that is not there or is of another kind.
    """
    checkpoint = Path(name) / "checkpoint.pt"
    if checkpoint.is_file():
        tensors: dict[str, Tensor] = torch.load(checkpoint, map_location="cpu", weights_only=True)["average"]
        return tensors
    entry = find_model(name)
    if entry.kind != "universal":
        raise WeightsError(
            "E_MODEL", f"{entry.title} is not a universal network.", "Begin with a universal model, or without one."
        )
    return read_tensors(entry, shapes_of(UniversalNetwork(UniversalConfig(**entry.config))))
