"""Weights of the diffusion engine in a folder: `diffusion.safetensors` and its description `diffusion.json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors.torch import save

from vision.errors import WeightsError
from vision.io.files.atomic import write_bytes, write_text
from vision.models.tensors import read_file, shapes_of
from vision.synthesis.tumours.diffusion.config import DiffusionConfig, read_config
from vision.synthesis.tumours.diffusion.engine import Diffusion
from vision.synthesis.tumours.diffusion.networks import LatentDiffusion
from vision.synthesis.tumours.protocol import ORGANS, Organ

SHIPPED = Path(__file__).parent / "weights"
"""Where weights lie that come with the package; it may not be there."""
NAME = "diffusion"
MOST_BYTES = 1 << 20
KEYS = ("network", "organs", "sha256", "recipe", "trained_steps", "trained_seconds")


def open_diffusion(folder: Path | None = None) -> Diffusion:
    """The engine with the weights of a folder, or with those that come with the package.

    Raises WeightsError E_DIFFUSION_WEIGHTS when there are none, E_WEIGHTS_DESCRIPTION for a description that cannot be
    read, and what `read_file` raises for the tensors.
    """
    place = SHIPPED if folder is None else folder
    description = place / f"{NAME}.json"
    if not description.is_file():
        raise WeightsError(
            "E_DIFFUSION_WEIGHTS",
            "There are no weights of the diffusion engine."
            if folder is None
            else "The folder holds no diffusion.json.",
            "Train them: bodymaps train diffusion --cases CASES --out FOLDER; then give that folder as --weights.",
        )
    config, organs, checksum = _read(description)
    network = LatentDiffusion(config)
    title = f"{NAME} ({checksum[:8]})"
    tensors = read_file(place / f"{NAME}.safetensors", shapes_of(network), sha256=checksum, title=title)
    network.load_state_dict(tensors)
    return Diffusion(network.eval().requires_grad_(False), organs)


def save_diffusion(
    network: LatentDiffusion,
    folder: Path,
    *,
    organs: Sequence[Organ],
    recipe: Mapping[str, Any],
    trained_steps: Mapping[str, int],
    trained_seconds: Mapping[str, float],
) -> Path:
    """Write a network's tensors in float16 and what describes them; returns the safetensors file."""
    tensors = {name: tensor.to(torch.float16).cpu().contiguous() for name, tensor in network.state_dict().items()}
    content = save(tensors)
    weights = write_bytes(folder / f"{NAME}.safetensors", content)
    description = {
        "network": network.config.as_json(),
        "organs": list(organs),
        "recipe": dict(recipe),
        "trained_steps": dict(trained_steps),
        "trained_seconds": {stage: round(seconds) for stage, seconds in trained_seconds.items()},
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    write_text(folder / f"{NAME}.json", json.dumps(description, indent=1) + "\n")
    return weights


def _read(description: Path) -> tuple[DiffusionConfig, tuple[Organ, ...], str]:
    """Configuration, organs and checksum. Raises WeightsError E_WEIGHTS_DESCRIPTION."""
    with description.open("rb") as stream:
        content = stream.read(MOST_BYTES + 1)
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or set(values) != set(KEYS) or len(content) > MOST_BYTES:
        _refuse(f"it is not an object of exactly {', '.join(KEYS)}")
    named = values["organs"]
    organs = tuple(organ for organ in ORGANS if isinstance(named, list) and organ in named)
    if not organs or len(organs) != len(named):
        _refuse("organs is not a list of organs")
    if not isinstance(values["sha256"], str):
        _refuse("sha256 is not a text")
    try:
        return read_config(values["network"]), organs, values["sha256"]
    except ValueError as wrong:
        _refuse(str(wrong))


def _refuse(what: str) -> NoReturn:
    raise WeightsError(
        "E_WEIGHTS_DESCRIPTION",
        f"The weights are not described as a diffusion engine is: {what}.",
        "Install the package again, or train again: bodymaps train diffusion.",
    )
