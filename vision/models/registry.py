"""The models that ship: what each can segment, its file and its checksum. Imports no torch, answers instantly."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vision.errors import WeightsError

WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class ModelEntry:
    """One shipped model. `channels` are the structures that it segments itself; `config` rebuilds the network."""

    name: str
    file: Path
    card: Path
    sha256: str
    channels: tuple[str, ...]
    config: dict[str, Any]

    @property
    def title(self) -> str:
        """Name and the start of the checksum, as shown in answers."""
        return f"{self.name} ({self.sha256[:8]})"


def read_models(folder: Path = WEIGHTS) -> dict[str, ModelEntry]:
    """Every `<name>.json` with its `<name>.safetensors` and `<name>.md` of a folder, by name.

    Raises WeightsError for a description that cannot be read.
    """
    return {path.stem: _read_model(path) for path in sorted(folder.glob("*.json"))}


def _read_model(description: Path) -> ModelEntry:
    try:
        values = json.loads(description.read_text())
        sha256, network = values["sha256"], values["network"]
        channels = tuple(network["channels"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            "E_WEIGHTS_DESCRIPTION",
            f"{description.name} does not describe a model ({error}).",
            "Install the package again; the file was changed or cut short.",
        ) from error
    return ModelEntry(
        name=description.stem,
        file=description.with_suffix(".safetensors"),
        card=description.with_suffix(".md"),
        sha256=sha256,
        channels=channels,
        config=network,
    )


def find_model(name: str, folder: Path = WEIGHTS) -> ModelEntry:
    """One model by name. Raises WeightsError for an unknown name, a missing file or a checksum that does not fit."""
    models = read_models(folder)
    if name not in models:
        known = ", ".join(models) or "none is installed"
        raise WeightsError("E_MODEL", f"No model is called {name!r}.", f"Known models: {known}.")
    entry = models[name]
    if not entry.file.is_file():
        raise WeightsError(
            "E_WEIGHTS_MISSING", f"{entry.file.name} is not there.", "Install the package again; the wheel holds it."
        )
    if hashlib.sha256(entry.file.read_bytes()).hexdigest() != entry.sha256:
        raise WeightsError(
            "E_WEIGHTS_CORRUPT",
            f"{entry.file.name} does not have the checksum of its description.",
            "Install the package again; the file was changed or cut short.",
        )
    return entry
