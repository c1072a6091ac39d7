"""A file of weights, read once, so that the bytes checked are the bytes used. Safetensors and nothing else."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeGuard

from vision.errors import WeightsError

MOST_BYTES = 4 << 30
MOST_HEADER_BYTES = 4 << 20
ITEM_BYTES = {"F16": 2, "BF16": 2, "F32": 4}
"""Number formats that weights may have, and the bytes of one number."""

INSTALL_AGAIN = "Install the package again; the file was changed or cut short."
_OWN_SUFFIXES = (".safetensors", ".json", ".md")
_PICKLE = re.compile(rb"\x80[\x02-\x05]|(?:c[\w.]+\n[\w.]+\n|[(\]}])(?s:.*)\.\s*\Z")
"""Protocols 2 to 5 begin with their number; 0 and 1 with an opcode, and end with a full stop."""


@dataclass(frozen=True)
class StoredTensor:
    """One tensor as the header lists it."""

    dtype: str
    shape: tuple[int, ...]


def read_weights(file: Path, sha256: str) -> tuple[bytes, dict[str, StoredTensor]]:
    """The bytes of a safetensors file and its table of tensors, with the checksum that its description promises.

    Raises WeightsError: E_WEIGHTS_MISSING, E_WEIGHTS_UNSAFE for a checkpoint that could run code, in its place or
    beside it, and E_WEIGHTS_CORRUPT, naming the first bad tensor where there is one. Nothing is ever unpickled.
    """
    try:
        _refuse_checkpoints_beside(file)
        if not file.is_file():
            raise FileNotFoundError
        if file.stat().st_size > MOST_BYTES:
            _corrupt(f"{file.name} is larger than {MOST_BYTES >> 30} GiB")
        content = file.read_bytes()
    except OSError as error:
        state = "is not there" if isinstance(error, FileNotFoundError) else "cannot be read"
        remedy = "Install the package again; the wheel holds it."
        raise WeightsError("E_WEIGHTS_MISSING", f"{file.name} {state}.", remedy) from None
    refuse_checkpoint(content, file.name)
    tensors = _table(content, file.name)
    if hashlib.sha256(content).hexdigest() != sha256:
        _corrupt(f"{file.name} does not have the checksum of its description")
    return content, tensors


def refuse_checkpoint(content: bytes, name: str) -> None:
    """Raise WeightsError E_WEIGHTS_UNSAFE for the bytes of a pickle or of a zip, as torch writes them."""
    # A header that opens with its brace is safetensors, sound or not, whatever its length looks like.
    if content[8:9] == b"{":
        return
    kind = "a zip archive" if content.startswith(b"PK\x03\x04") else "a pickle" if _PICKLE.match(content) else None
    if kind is not None:
        raise WeightsError(
            "E_WEIGHTS_UNSAFE",
            f"{name} is {kind}, which can run code when it is read; it was left unread.",
            "Use weights in safetensors; whoever trained the model converts them with 'bodymaps train export'.",
        )


def _refuse_checkpoints_beside(file: Path) -> None:
    """Refuse a torch checkpoint of the same name: somebody may have meant that one to be loaded."""
    for other in sorted(file.parent.iterdir()):
        if other.name.startswith(f"{file.stem}.") and other.suffix not in _OWN_SUFFIXES and other.is_file():
            with other.open("rb") as stream:
                refuse_checkpoint(stream.read(MOST_HEADER_BYTES), other.name)


def _table(content: bytes, name: str) -> dict[str, StoredTensor]:
    """The header of safetensors, checked against the bytes that follow it: every tensor whole, no gap, no overlap."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or content[8:9] != b"{":
        _corrupt(f"{name} is no safetensors file")
    if length > min(MOST_HEADER_BYTES, len(content) - 8):
        _corrupt(f"{name} has a header of {length} bytes, more than there are or may be")
    try:
        header = json.loads(content[8 : 8 + length], object_pairs_hook=list)
    except (ValueError, RecursionError):
        _corrupt(f"{name} has a header that is not JSON")
    rows = [(str(key), dict(row)) for key, row in header if key != "__metadata__" and _are_pairs(row)]
    if len({key for key, _ in rows}) != sum(key != "__metadata__" for key, _ in header):
        _corrupt(f"{name} lists a tensor twice or without a description")
    spans = sorted((_span(key, row, name), key) for key, row in rows)
    position = 0
    for (start, stop), key in spans:
        if start != position:
            _corrupt(f"{name} has no tensor {key[:80]!r} where its header says")
        if stop > len(content) - 8 - length:
            _corrupt(f"{name} ends within the tensor {key[:80]!r}")
        position = stop
    if position != len(content) - 8 - length:
        _corrupt(f"{name} has {len(content) - 8 - length - position} bytes after its last tensor")
    return {key: StoredTensor(row["dtype"], tuple(row["shape"])) for key, row in rows}


def _are_pairs(row: object) -> bool:
    return isinstance(row, list) and all(isinstance(pair, tuple) for pair in row)


def _span(key: str, row: Mapping[str, Any], name: str) -> tuple[int, int]:
    """The bytes of a tensor, which must be as many as its shape and number format need."""
    dtype, shape, offsets = (row.get(field) for field in ("dtype", "shape", "data_offsets"))
    if str(dtype) not in ITEM_BYTES or not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2:
        _corrupt(f"{name} describes the tensor {key[:80]!r} wrongly; numbers are {', '.join(ITEM_BYTES)}")
    if offsets[1] - offsets[0] != math.prod(shape) * ITEM_BYTES[str(dtype)]:
        _corrupt(f"{name} has another number of bytes for the tensor {key[:80]!r} than its shape needs")
    return offsets[0], offsets[1]


def _are_counts(values: Any) -> TypeGuard[list[int]]:
    """Whether it is a list of whole numbers from 0."""
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _corrupt(what: str) -> NoReturn:
    raise WeightsError("E_WEIGHTS_CORRUPT", f"{what}.", INSTALL_AGAIN)
