"""Reading a torch checkpoint without running anything in it: tensors, numbers and texts, or a typed refusal."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from vision.errors import WeightsError

MOST_BYTES = 4 << 30
WRAPPERS = ("net", "state_dict", "model")
"""Keys under which trainers keep the weights beside their optimiser."""

PREFIXES = ("module.", "network.")
"""What wrappers of the network (DistributedDataParallel, bundles) put before every name."""

_DOWNLOAD_AGAIN = "Download the checkpoint again and compare its size with the publisher's."


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Name -> tensor of the weights in a .pth or .pt file, without the prefixes of wrappers; on the CPU.

    Raises WeightsError: E_CHECKPOINT_MISSING, E_CHECKPOINT_LARGE, E_CHECKPOINT_UNSAFE for a file that needs more than
    tensors, numbers and texts, E_CHECKPOINT_CORRUPT, and E_CHECKPOINT_CONTENT for one that holds no named tensors.
    """
    content = _load(path)
    if not isinstance(content, Mapping):
        _refuse_content("is no table of named tensors")
    wrapped = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), content)
    tensors = {key: value for key, value in wrapped.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if not tensors:
        _refuse_content("holds no named tensors")
    for prefix in PREFIXES:
        if all(key.startswith(prefix) for key in tensors):
            tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
    return tensors


def read_text_encoding(path: Path) -> Tensor:
    """The embeddings of the class names, (classes, width) float32, from a file that holds that one tensor.

    Raises WeightsError as `read_checkpoint`, and E_CHECKPOINT_CONTENT for anything else.
    """
    content = _load(path)
    if not isinstance(content, Tensor) or content.ndim != 2 or not is_plain(content):
        _refuse_content("is no table of text embeddings, one row a class")
    return content.float()


def is_plain(tensor: Tensor) -> bool:
    """Whether it is an ordinary tensor of floating-point numbers that lie in memory."""
    return (
        tensor.is_floating_point()
        and tensor.layout == torch.strided
        and tensor.device.type == "cpu"
        and tensor.dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    )


def _load(path: Path) -> object:
    _require_bearable(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # torch raises whatever a broken file makes of it
        kind = type(error).__name__
    if kind == "UnpicklingError":
        raise WeightsError(
            "E_CHECKPOINT_UNSAFE",
            "The checkpoint needs more than tensors, numbers and texts to be read, which can run code; none was run.",
            "Use the publisher's own file; if it is, ask for one that torch.load(weights_only=True) reads.",
        )
    raise WeightsError("E_CHECKPOINT_CORRUPT", f"The checkpoint cannot be read ({kind}).", _DOWNLOAD_AGAIN)


def _require_bearable(path: Path) -> None:
    """Refuse what is no file, or would become larger in memory than weights are; an archive tells before it is read."""
    try:
        size = path.stat().st_size if path.is_file() else None
        if size is not None and size <= MOST_BYTES and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                size = sum(member.file_size for member in archive.infolist())
    except zipfile.BadZipFile:
        raise WeightsError(
            "E_CHECKPOINT_CORRUPT", "The checkpoint cannot be read (BadZipFile).", _DOWNLOAD_AGAIN
        ) from None
    except OSError:
        size = None
    if size is None:
        raise WeightsError("E_CHECKPOINT_MISSING", "There is no such checkpoint file.", "Check the path.")
    if size > MOST_BYTES:
        raise WeightsError(
            "E_CHECKPOINT_LARGE",
            f"The checkpoint holds more than {MOST_BYTES >> 30} GiB.",
            "Use one of the known public checkpoints; they are smaller.",
        )


def _refuse_content(what: str) -> NoReturn:
    raise WeightsError(
        "E_CHECKPOINT_CONTENT",
        f"The checkpoint {what}.",
        "Give the .pth or .pt file of a SuPreM, Universal Model or VISTA3D network as it was published.",
    )
