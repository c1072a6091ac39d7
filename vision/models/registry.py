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
    """Every `<name>.json` with its `<name>.safetensors` and `<name>.md` of a folder, by name."""
    entries = {}
    for description in sorted(folder.glob("*.json")):
        values = json.loads(description.read_text())
        name = description.stem
        entries[name] = ModelEntry(
            name=name,
            file=folder / f"{name}.safetensors",
            card=folder / f"{name}.md",
            sha256=values["sha256"],
            channels=tuple(values["network"]["channels"]),
            config=values["network"],
        )
    return entries


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
