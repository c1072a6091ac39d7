"""From a finished run to weights that ship: EMA tensors as safetensors, and the description beside them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch

from vision.errors import WeightsError
from vision.models.compact_segmenter import save_compact
from vision.models.description import check_network, network_hash


def export_run(run: Path, out: Path, *, name: str, leave_out: frozenset[str] = frozenset()) -> Path:
    """Write `<name>.safetensors` and `<name>.json` from a training folder; the card is a person's to write.

    `leave_out` drops channels that did not learn, so that nobody takes their silence for an absence. Raises
    WeightsError when the folder holds no checkpoint.
    """
    checkpoint = run / "checkpoint.pt"
    if not checkpoint.is_file():
        raise WeightsError(
            "E_NO_CHECKPOINT", "The folder of the run holds no checkpoint.pt.", "Train first: bodymaps train vision."
        )
    stored = torch.load(checkpoint, map_location="cpu", weights_only=True)
    recipe = json.loads((run / "config.json").read_text())
    out.mkdir(parents=True, exist_ok=True)
    weights = out / f"{name}.safetensors"
    channels = recipe["network"]["channels"]
    kept = [index for index, channel in enumerate(channels) if channel not in leave_out]
    rows = [8 * index + phase for index in kept for phase in range(8)]
    tensors = {key: tensor[rows] if key.startswith("head.") else tensor for key, tensor in stored["average"].items()}
    save_compact(tensors, weights)
    network = {**recipe["network"], "channels": [channels[index] for index in kept]}
    description = {
        "network": network,
        "network_sha256": network_hash(check_network(network)),
        "left_out": sorted(leave_out),
        "recipe": {key: value for key, value in recipe.items() if key != "network"},
        "trained_steps": stored["step"],
        "trained_seconds": round(stored["seconds"]),
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }
    (out / f"{name}.json").write_text(json.dumps(description, indent=1) + "\n")
    return weights
