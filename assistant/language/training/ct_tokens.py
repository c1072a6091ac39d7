"""CT tokens of many cases, made once by the segmenter and kept as safetensors: training reads them, not CTs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vision.errors import InputRefused, UsageError, WeightsError
from vision.io import load_ct
from vision.io.files.atomic import write_bytes
from vision.models.coarse_to_fine.segmenter import UniversalSegmenter
from vision.models.coarse_to_fine.tokens import CTTokens
from vision.segmenter import Progress, Segmenter, no_progress

_TENSORS = ("latents", "positions_mm", "pooled", "presence", "volumes_ml", "centres_mm")


def find_cts(names: Iterable[str], folders: Sequence[Path]) -> dict[str, Path]:
    """Where each CT lies that conversations name: in the first of some folders that has it.

    Raises InputRefused E_NOT_FOUND for one that none has.
    """
    found = {}
    for name in dict.fromkeys(names):
        path = next((folder / name for folder in folders if (folder / name).exists()), None)
        if path is None:
            raise InputRefused(
                "E_NOT_FOUND", "A CT that the conversations are about does not exist.", "Name its folder with --cts."
            )
        found[name] = path
    return found


def ct_tokens(
    paths: Mapping[str, Path], segmenter: UniversalSegmenter, folder: Path, *, progress: Progress = no_progress
) -> dict[str, CTTokens]:
    """The tokens of each CT by its name, read from `folder` or made and kept there. Raises what opening a CT raises."""
    found = {}
    for number, (name, path) in enumerate(paths.items()):
        progress("CT tokens", number / len(paths))
        file = token_file(folder, path, segmenter)
        if not file.is_file():
            write_tokens(file, segmenter.tokens(segmenter.encode(load_ct(path))))
        found[name] = read_tokens(file)
    return found


def token_file(folder: Path, path: Path, segmenter: UniversalSegmenter) -> Path:
    """Where the tokens of a CT are kept: under a digest of its place, size and time, and of the weights.

    So no name of a CT is kept, and a CT or weights that changed make new tokens.
    """
    # The segmenter's name holds its checksum, and the device after ' on '.
    weights, file = segmenter.name.partition(" on ")[0], path.stat()
    told = f"{weights}|{path.resolve()}|{file.st_size}|{file.st_mtime_ns}"
    return folder / f"{hashlib.sha256(told.encode()).hexdigest()[:32]}.safetensors"


def write_tokens(file: Path, tokens: CTTokens) -> Path:
    """Write the tokens of one CT whole or not at all. Raises as `write_atomically`."""
    tensors = {
        "latents": tokens.latents,
        "positions_mm": tokens.positions_mm,
        "pooled": tokens.pooled,
        "presence": tokens.presence,
        "volumes_ml": tokens.volumes_ml,
        "centres_mm": tokens.centres_mm,
    }
    plain = {name: tensor.float().cpu().contiguous() for name, tensor in tensors.items()}
    return write_bytes(file, save(plain, metadata={"structures": json.dumps(tokens.structures)}))


def read_tokens(file: Path) -> CTTokens:
    """The tokens of one CT. Raises WeightsError E_CT_TOKENS for a file that is damaged or of another form."""
    try:
        with safe_open(file, framework="pt") as stored:
            structures = tuple(json.loads((stored.metadata() or {})["structures"]))
            tensors = {name: stored.get_tensor(name) for name in _TENSORS}
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise _damaged(type(error).__name__) from None
    tokens = CTTokens(structures=structures, **tensors)
    if not len(tokens.latents) == len(tokens.positions_mm) or not len(structures) == len(tokens.pooled):
        raise _damaged("its parts do not belong together")
    return tokens


def without_sight(tokens: CTTokens) -> CTTokens:
    """The same tokens with nothing in them, not even where they lie, which tells the scan range: for an ablation."""
    return CTTokens(
        latents=tokens.latents.new_zeros(tokens.latents.shape),
        positions_mm=tokens.positions_mm.new_zeros(tokens.positions_mm.shape),
        structures=tokens.structures,
        pooled=tokens.pooled.new_zeros(tokens.pooled.shape),
        presence=tokens.presence.new_zeros(tokens.presence.shape),
        volumes_ml=tokens.volumes_ml.new_zeros(tokens.volumes_ml.shape),
        centres_mm=tokens.centres_mm.new_zeros(tokens.centres_mm.shape),
    )


def query_vectors(segmenter: UniversalSegmenter, structures: Iterable[str]) -> dict[str, Tensor]:
    """The segmenter's own query vectors (query_width,) of those structures that it answers."""
    known = [name for name in structures if name in segmenter.structures]
    with torch.no_grad():
        vectors = segmenter.network.queries(tuple(known)).float().cpu() if known else ()
    return dict(zip(known, vectors, strict=True))


def require_universal(segmenter: Segmenter) -> UniversalSegmenter:
    """The segmenter as one that gives CT tokens. Raises UsageError E_NO_TOKENS for any other."""
    if not isinstance(segmenter, UniversalSegmenter):
        raise UsageError(
            "E_NO_TOKENS",
            "This model makes no CT tokens, so a language model cannot see by it.",
            "Choose a universal model: 'bodymaps weights list' names them.",
        )
    return segmenter


def _damaged(why: str) -> WeightsError:
    return WeightsError(
        "E_CT_TOKENS",
        f"Stored CT tokens cannot be read ({why}).",
        "Delete the folder of CT tokens; they are made again.",
    )
