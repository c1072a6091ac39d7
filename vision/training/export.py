"""From a finished run to weights that ship: EMA tensors as safetensors, and the description beside them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from vision.errors import WeightsError
from vision.io.files.atomic import write_bytes, write_text
from vision.models.description import check_network, network_hash
from vision.models.universal.network import UniversalConfig, UniversalNetwork

KIND = "universal"


def read_run(run: Path) -> tuple[UniversalNetwork, dict[str, Any], dict[str, Any]]:
    """The network of a training folder with its EMA weights, the recipe, and the checkpoint's other values.

    Raises WeightsError E_NO_CHECKPOINT when the folder holds none.
    """
    checkpoint = run / "checkpoint.pt"
    if not checkpoint.is_file():
        raise WeightsError(
            "E_NO_CHECKPOINT", "The folder of the run holds no checkpoint.pt.", "Train first: bodymaps train vision."
        )
    stored = torch.load(checkpoint, map_location="cpu", weights_only=True)
    recipe = json.loads((run / "config.json").read_text("utf-8"))
    network = UniversalNetwork(UniversalConfig(**check_network(recipe["network"], kind=KIND)))
    network.load_state_dict(stored["average"])
    return network, recipe, stored


def export_run(run: Path, out: Path, *, name: str) -> Path:
    """Write `<name>.safetensors` (float16: half the file) and `<name>.json`; the card is a person's to write.

    `trained_on` says of each structure whether real CTs, synthetic ones or both annotated it; one that nothing
    annotated stays out of it. Raises as `read_run`.
    """
    network, recipe, stored = read_run(run)
    content = save({key: tensor.to(torch.float16).contiguous() for key, tensor in network.state_dict().items()})
    weights = write_bytes(out / f"{name}.safetensors", content)
    described = check_network(recipe["network"], kind=KIND)
    description = {
        "kind": KIND,
        "network": described,
        "network_sha256": network_hash(described),
        "trained_on": recipe["trained_on"],
        "recipe": {key: value for key, value in recipe.items() if key not in ("network", "trained_on")},
        "trained_steps": stored["step"],
        "trained_seconds": round(stored["seconds"]),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    write_text(out / f"{name}.json", json.dumps(description, indent=1) + "\n")
    return weights
