"""Model folders made by code: a tiny network that is right, and every way in which its files can be wrong."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from vision.models.description import check_network, network_hash
from vision.models.kinds import UNIVERSAL
from vision.models.registry import ModelEntry, find_model
from vision.models.universal.network import UniversalConfig, UniversalNetwork

TINY = UniversalConfig(("liver", "spleen"), widths=(4, 8), fine_widths=(4, 8), query_width=4, hidden=4)
"""The smallest network that has every part."""
MARKER = "code-was-run"

Tensors = dict[str, torch.Tensor]
FolderMaker = Callable[[Path], object]
"""Fills an empty folder with a model called 'tiny'."""


def tiny_tensors(config: UniversalConfig = TINY) -> Tensors:
    """The weights of an untrained network as they ship, float16."""
    torch.manual_seed(3)
    return {name: tensor.half() for name, tensor in UniversalNetwork(config).state_dict().items()}


def description_of(content: bytes, config: UniversalConfig = TINY) -> dict[str, Any]:
    """The description that fits some weights."""
    network = config.to_dict()
    return {
        "kind": UNIVERSAL,
        "network": network,
        "sha256": hashlib.sha256(content).hexdigest(),
        "network_sha256": network_hash(check_network(network, kind=UNIVERSAL)),
    }


def put_model(folder: Path, content: bytes, description: Mapping[str, Any] | None = None) -> Path:
    """Write weights and their description; without one, the one that promises these very bytes."""
    (folder / "tiny.safetensors").write_bytes(content)
    (folder / "tiny.json").write_text(json.dumps(description or description_of(content)))
    return folder


def put_described(
    folder: Path, content: bytes, kind: str, network: Mapping[str, Any], *, name: str = "tiny", **also: Any
) -> ModelEntry:
    """Write weights of a kind of network with the description that fits them, and what it says `also`."""
    checked = check_network(network, kind=kind)
    description = {
        "kind": kind,
        "network": checked,
        "sha256": hashlib.sha256(content).hexdigest(),
        "network_sha256": network_hash(checked),
        **also,
    }
    (folder / f"{name}.safetensors").write_bytes(content)
    (folder / f"{name}.json").write_text(json.dumps(description))
    return find_model(name, folder)


def good_model(folder: Path) -> Path:
    """A model without a fault."""
    return put_model(folder, save(tiny_tensors()))


def weights_of(change: Callable[[Tensors], object]) -> FolderMaker:
    """A model whose tensors were changed before they were written; its checksum fits."""

    def make(folder: Path) -> Path:
        tensors = tiny_tensors()
        change(tensors)
        return put_model(folder, save(tensors))

    return make


def bytes_of(change: Callable[[bytes], bytes]) -> FolderMaker:
    """A model whose finished file was changed; its checksum fits the changed file."""
    return lambda folder: put_model(folder, change(save(tiny_tensors())))


def header_of(change: Callable[[dict[str, Any]], object]) -> FolderMaker:
    """A model whose header says something else; its checksum fits."""

    def rewritten(content: bytes) -> bytes:
        length = struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8 : 8 + length])
        change(header)
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + content[8 + length :]

    return bytes_of(rewritten)


def described(change: Callable[[dict[str, Any]], object]) -> FolderMaker:
    """A good model whose description was changed afterwards."""

    def make(folder: Path) -> Path:
        content = save(tiny_tensors())
        description = description_of(content)
        change(description)
        return put_model(folder, content, description)

    return make


def described_as(text: str | bytes) -> FolderMaker:
    """A good model whose description is this text."""

    def make(folder: Path) -> Path:
        good_model(folder)
        content = text.encode() if isinstance(text, str) else text
        (folder / "tiny.json").write_bytes(content)
        return folder

    return make


class Bomb:
    """Unpickled, it makes the folder MARKER beside itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder / MARKER),)


def pickled(folder: Path, protocol: int) -> bytes:
    """A pickle that runs code when it is read."""
    return pickle.dumps({"weights": Bomb(folder)}, protocol)


def torch_checkpoint(folder: Path, *, zipped: bool) -> bytes:
    """A checkpoint as torch writes it, today's zip or the older stream of pickles, with code to run inside."""
    buffer = io.BytesIO()
    torch.save({"weights": Bomb(folder)}, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def checkpoint_in_place(content: Callable[[Path], bytes]) -> FolderMaker:
    """A checkpoint under the name of the safetensors file, with the right checksum."""
    return lambda folder: put_model(folder, content(folder))


def checkpoint_beside(content: Callable[[Path], bytes], suffix: str, *, alone: bool = False) -> FolderMaker:
    """A checkpoint beside the safetensors file of a good model, or instead of it."""

    def make(folder: Path) -> Path:
        good_model(folder)
        (folder / f"tiny{suffix}").write_bytes(content(folder))
        if alone:
            (folder / "tiny.safetensors").unlink()
        return folder

    return make


def without_weights(put: Callable[[Path], object]) -> FolderMaker:
    """A good model whose weights were replaced by something that is no file."""

    def make(folder: Path) -> Path:
        good_model(folder)
        weights = folder / "tiny.safetensors"
        weights.unlink()
        put(weights)
        return folder

    return make


def sparse_file(path: Path) -> None:
    """A file of 5 GiB that takes no room on the disk."""
    with path.open("wb") as stream:
        stream.truncate(5 << 30)
