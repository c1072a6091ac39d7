"""A public checkpoint -> an installed model: `<name>.safetensors`, `<name>.md`, and `<name>.json`, which comes last."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from vision.errors import WeightsError
from vision.io.files.atomic import write_bytes, write_text
from vision.models.checkpoints.card import card_text
from vision.models.checkpoints.classes import left_out_of
from vision.models.checkpoints.layouts import recognise
from vision.models.checkpoints.networks import build_network
from vision.models.checkpoints.read import is_plain, read_checkpoint, read_text_encoding
from vision.models.checkpoints.report import LoadReport, compare
from vision.models.description import check_network, network_hash
from vision.models.registry import MODEL_NAME, model_folders, user_folder
from vision.models.tensors import shapes_of

TEXT = "organ_embedding"


@dataclass(frozen=True)
class Checkpoint:
    """A file that was read and recognised: the kind of its network, its configuration, how its tensors fit."""

    kind: str
    network: dict[str, Any]
    report: LoadReport
    tensors: Mapping[str, Tensor]


def open_checkpoint(path: Path, *, text_encoding: Path | None = None, order: str | None = None) -> Checkpoint:
    """Read a checkpoint and set it against the network that it is of; nothing is written.

    `text_encoding` is the file of the class names' embeddings, for a checkpoint that lacks them. `order` names the
    order of the classes where the file leaves it open. Raises WeightsError as `read_checkpoint` and `recognise` do,
    and E_CHECKPOINT_TEXT for embeddings that are not those in the checkpoint.
    """
    tensors = read_checkpoint(path)
    if text_encoding is not None:
        tensors = _with_text(tensors, read_text_encoding(text_encoding))
    layout = recognise({key: tuple(tensor.shape) for key, tensor in tensors.items()}, order=order)
    network = check_network(layout.network, kind=layout.kind)
    wanted = shapes_of(build_network(layout.kind, network))
    return Checkpoint(layout.kind, network, compare(wanted, tensors, layout.is_unused), tensors)


def write_model(checkpoint: Checkpoint, name: str, folder: Path | None = None) -> Path:
    """Install a checkpoint as the model `name`, in float32, by default in the user's folder; returns its description.

    Raises WeightsError E_MODEL_NAME for a name that cannot be one or is taken, what `LoadReport.require_whole` raises,
    and E_CHECKPOINT_NONFINITE; ResourceError when the files cannot be written. What was there stays as it was.
    """
    folder = user_folder() if folder is None else folder
    _require_free(name, folder)
    checkpoint.report.require_whole()
    weights = save({key: _checked(key, checkpoint.tensors[key]) for key in checkpoint.report.matched})
    description = {
        "kind": checkpoint.kind,
        "network": checkpoint.network,
        "network_sha256": network_hash(checkpoint.network),
        "left_out": list(left_out_of(checkpoint.network["order"])),
        "sha256": hashlib.sha256(weights).hexdigest(),
    }
    write_bytes(folder / f"{name}.safetensors", weights)
    write_text(folder / f"{name}.md", card_text(name, checkpoint.kind, checkpoint.network, checkpoint.report))
    return write_text(folder / f"{name}.json", json.dumps(description, indent=1) + "\n")


def _with_text(tensors: Mapping[str, Tensor], text: Tensor) -> dict[str, Tensor]:
    """The tensors with the embeddings of the class names, which must be those in the checkpoint if it has any."""
    own = tensors.get(TEXT)
    if own is not None and not (is_plain(own) and own.shape == text.shape and torch.equal(own.float(), text)):
        raise WeightsError(
            "E_CHECKPOINT_TEXT",
            "The text embeddings are not those that the checkpoint was trained with.",
            "Leave --text-encoding out; the checkpoint holds its own.",
        )
    return {**tensors, TEXT: text}


def _require_free(name: str, folder: Path) -> None:
    if not MODEL_NAME.fullmatch(name):
        raise WeightsError(
            "E_MODEL_NAME",
            "A model cannot be called so.",
            "Use up to 60 letters, digits, dots, hyphens and underscores; begin with a letter or digit.",
        )
    if any((place / f"{name}.json").exists() for place in (folder, *model_folders())):
        raise WeightsError(
            "E_MODEL_NAME",
            f"A model is called {name} already.",
            "Choose another with --name, or remove the files of that one.",
        )


def _checked(key: str, tensor: Tensor) -> Tensor:
    """A tensor in float32, all of its numbers finite."""
    plain = tensor.detach().to(torch.float32).contiguous().clone()
    if not bool(torch.isfinite(plain).all()):
        raise WeightsError(
            "E_CHECKPOINT_NONFINITE",
            f"The checkpoint has numbers that are not finite in {key!r}.",
            "Download the checkpoint again; no network works with them.",
        )
    return plain
