"""The models that are installed: what each can segment, its file, its checksum. Light: weights are read elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vision.errors import WeightsError
from vision.models.description import MOST_BYTES, parse_description
from vision.models.weights_file import refuse_checkpoint

WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class ModelEntry:
    """One installed model. `channels` are the structures that it segments itself; `config` rebuilds the network."""

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

    Raises WeightsError for a description that cannot be read or says what it may not.
    """
    return {path.stem: _read_model(path) for path in sorted(folder.glob("*.json"))}


def find_model(name: str, folder: Path = WEIGHTS) -> ModelEntry:
    """One model by name; its weights are checked when they are loaded. Raises WeightsError E_MODEL.

    Nothing is ever fetched: what is not in the folder is not there.
    """
    models = read_models(folder)
    if name not in models:
        known = ", ".join(models) or "none"
        raise WeightsError(
            "E_MODEL",
            f"No model is called {name[:60]!r}; installed: {known}.",
            "Nothing is downloaded. A model of your own is the .json and .safetensors that 'bodymaps train export' "
            "writes: copy both beside the installed ones, whose folder 'bodymaps info' names.",
        )
    return models[name]


def _read_model(description: Path) -> ModelEntry:
    try:
        with description.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError:
        raise WeightsError(
            "E_WEIGHTS_DESCRIPTION", f"{description.name} cannot be read.", "Install the package again."
        ) from None
    refuse_checkpoint(content, description.name)
    values = parse_description(content, description.name)
    return ModelEntry(
        name=description.stem,
        file=description.with_suffix(".safetensors"),
        card=description.with_suffix(".md"),
        sha256=values["sha256"],
        channels=values["network"]["channels"],
        config=values["network"],
    )
