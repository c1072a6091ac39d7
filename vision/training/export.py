"""From a finished run to weights that ship: EMA tensors as safetensors, and the description beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rapidfuzz import process
from safetensors.torch import save

from vision.benchmark.lesions.summary import FEWEST_LESIONS
from vision.errors import UsageError, WeightsError
from vision.io.files.atomic import write_bytes, write_text
from vision.models.description import check_network, network_hash
from vision.models.kinds import UNIVERSAL
from vision.models.universal.network import UniversalConfig, UniversalNetwork
from vision.structures import names

LESIONS = frozenset(names("lesion"))


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
    network = UniversalNetwork(UniversalConfig(**check_network(recipe["network"], kind=UNIVERSAL)))
    network.load_state_dict(stored["average"])
    return network, recipe, stored


def export_run(
    run: Path,
    out: Path,
    *,
    name: str,
    leave_out: frozenset[str] = frozenset(),
    calibration: tuple[float, float] | None = None,
    lesions: LesionFacts | None = None,
) -> Path:
    """Write `<name>.safetensors` (float16: half the file) and `<name>.json`; the card is a person's to write.

    `trained_on` says of each structure whether real CTs, synthetic ones or both annotated it; one that nothing
    annotated stays out of it. The model has words for what `leave_out` names and does not answer it. `calibration` is
    the slope and intercept, on the logit, that 'bodymaps evaluate reliability' fits on cases kept apart; it holds for
    every structure that is answered, but for lesions where `lesions` says what 'bodymaps evaluate lesions' found.

    Raises as `read_run`, and UsageError E_LEAVE_OUT for a structure that the network does not have, or for all.
    """
    network, recipe, stored = read_run(run)
    left_out = _left_out(leave_out, network.config.structures)
    answered = [each for each in network.config.structures if each not in left_out]
    content = save({key: tensor.to(torch.float16).contiguous() for key, tensor in network.state_dict().items()})
    weights = write_bytes(out / f"{name}.safetensors", content)
    described = check_network(recipe["network"], kind=UNIVERSAL)
    description = {
        "kind": UNIVERSAL,
        "network": described,
        "network_sha256": network_hash(described),
        "left_out": left_out,
        "trained_on": recipe["trained_on"],
        "calibration": _lines(answered, calibration, lesions),
        "lesion_sizes": {} if lesions is None else {k: v for k, v in lesions.sizes_mm.items() if k in answered},
        "recipe": {key: value for key, value in recipe.items() if key not in ("network", "trained_on")},
        "trained_steps": stored["step"],
        "trained_seconds": round(stored["seconds"]),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    write_text(out / f"{name}.json", json.dumps(description, indent=1) + "\n")
    return weights


@dataclass(frozen=True)
class LesionFacts:
    """What an evaluation of lesions, on cases kept apart, found: the line on the logit of a lesion's score that makes
    it the chance of a true one (None where it could not be fitted), and from which long axis in mm on lesions are found
    reliably: None for none of any size, nothing where too few were tried."""

    line: tuple[float, float] | None
    sizes_mm: Mapping[str, float | None]


def read_lesion_facts(folder: Path) -> LesionFacts:
    """What `bodymaps evaluate lesions --out` wrote. Raises UsageError E_CALIBRATION for a folder without it."""
    try:
        found = json.loads((folder / "lesions.json").read_text("utf-8"))
        tried = [row for row in found["structures"] if row["sensitivity"]["n"] >= FEWEST_LESIONS]
        sizes = {row["structure"]: row["reliable_from_mm"] for row in tried if row["structure"] in LESIONS}
        fitted = json.loads((folder / "reliability.json").read_text("utf-8"))
        known = {name: None if size is None else float(size) for name, size in sizes.items()}
        line = None if fitted["slope"] is None else (float(fitted["slope"]), float(fitted["intercept"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            "E_CALIBRATION",
            f"The folder holds no evaluation of lesions ({type(error).__name__}).",
            "Give the folder that 'bodymaps evaluate lesions --out' wrote.",
        ) from None
    return LesionFacts(line, known)


def read_calibration(file: Path) -> tuple[float, float]:
    """Slope and intercept of the reliability.json that `bodymaps evaluate reliability` wrote.

    Raises UsageError E_CALIBRATION for a file without them.
    """
    try:
        fitted = json.loads(file.read_text("utf-8"))
        return float(fitted["slope"]), float(fitted["intercept"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            "E_CALIBRATION",
            f"The file holds no slope and intercept ({type(error).__name__}).",
            "Give the reliability.json that 'bodymaps evaluate reliability --out' wrote.",
        ) from None


def _lines(
    answered: Sequence[str], calibration: tuple[float, float] | None, lesions: LesionFacts | None
) -> dict[str, list[float]]:
    """Slope and intercept of each structure that has a line."""
    of_lesions = calibration if lesions is None else lesions.line
    lines = {name: of_lesions if name in LESIONS else calibration for name in answered}
    return {name: list(line) for name, line in lines.items() if line is not None}


def _left_out(leave_out: frozenset[str], structures: tuple[str, ...]) -> list[str]:
    """The structures left out, in the order of the network's."""
    unknown = next((name for name in sorted(leave_out) if name not in structures), None)
    if unknown is not None:
        near = ", ".join(each for each, *_ in process.extract(unknown[:60], structures, limit=3))
        raise UsageError(
            "E_LEAVE_OUT", f"This run has no structure {unknown[:60]!r} to leave out.", f"Nearest: {near}."
        )
    if leave_out.issuperset(structures):
        raise UsageError("E_LEAVE_OUT", "No structure of this run would be answered.", "Leave fewer out.")
    return [name for name in structures if name in leave_out]
