"""The models that are installed: what each can segment, its file, its checksum. Light: weights are read elsewhere."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vision.errors import WeightsError
from vision.models.description import MOST_BYTES, parse_description
from vision.models.kinds import structures_of
from vision.models.weights_file import refuse_checkpoint

WEIGHTS = Path(__file__).parent / "weights"
"""Models that ship with the package."""

FOLDER_VARIABLE = "BODYMAPS_MODELS"
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


@dataclass(frozen=True)
class ModelEntry:
    """One installed model. `channels` are the structures that it answers; `config` rebuilds the network.

    `kind` says of which network, `calibration` gives slope and intercept of a structure's logit, `trained_on` says
    which CTs taught a structure: real, synthetic, real and synthetic. `lesion_sizes` are the smallest long axes in mm
    of the lesions that it finds reliably, infinite for none, where that was measured.
    """

    name: str
    file: Path
    card: Path
    sha256: str
    channels: tuple[str, ...]
    config: dict[str, Any]
    kind: str
    calibration: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    trained_on: Mapping[str, str] = field(default_factory=dict)
    lesion_sizes: Mapping[str, float] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Name and the start of the checksum, as shown in answers."""
        return f"{self.name} ({self.sha256[:8]})"


def user_folder() -> Path:
    """Where a person's own models lie: what BODYMAPS_MODELS names, else the system's data folder; it may not exist."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "bodymaps" / "models"


def model_folders() -> tuple[Path, ...]:
    """The folders that models are looked for in; of two models of one name the first folder's counts."""
    return WEIGHTS, user_folder()


def read_models(*folders: Path) -> dict[str, ModelEntry]:
    """Every `<name>.json` with its `<name>.safetensors` and `<name>.md`, by name; by default of `model_folders`.

    Raises WeightsError for a description that cannot be read or says what it may not.
    """
    return {name: _read_model(path) for name, path in _descriptions(folders or model_folders()).items()}


def find_model(name: str, *folders: Path) -> ModelEntry:
    """One model by name; its weights are checked when they are loaded, and no other model is read.

    Raises WeightsError E_MODEL for a name that is not there, and what `read_models` raises. Nothing is ever fetched.
    """
    models = _descriptions(folders or model_folders())
    if name not in models:
        known = ", ".join(models) or "none"
        raise WeightsError(
            "E_MODEL",
            f"No model is called {name[:60]!r}; installed: {known}.",
            "Nothing is downloaded. A model of your own is the .json and .safetensors that 'bodymaps train export' or "
            "'bodymaps weights convert' writes: copy both beside the installed ones, whose folders 'bodymaps weights "
            "list' names.",
        )
    return _read_model(models[name])


def _descriptions(folders: tuple[Path, ...]) -> dict[str, Path]:
    """Name -> description, in the order of the folders; files that are not called as a model are passed over."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.json")):
            if MODEL_NAME.fullmatch(path.stem):
                found.setdefault(path.stem, path)
    return found


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
    known = structures_of(values["kind"], values["network"])
    return ModelEntry(
        name=description.stem,
        file=description.with_suffix(".safetensors"),
        card=description.with_suffix(".md"),
        sha256=values["sha256"],
        channels=tuple(name for name in known if name not in values["left_out"]),
        config=values["network"],
        kind=values["kind"],
        calibration=values["calibration"],
        trained_on=values["trained_on"],
        lesion_sizes=values["lesion_sizes"],
    )
