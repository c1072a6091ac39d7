"""A language model as files: where it lies, and whether everything that is needed is there. Nothing is downloaded."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.language.llms.table import LLMRow, row_for
from vision.errors import WeightsError

EMBEDDED = "embedded"
EMBEDDED_FOLDER = Path(__file__).parents[1] / "weights"
"""The language model that ships with the package."""

LANGUAGE_EXTRA = "'bodymaps-assistant[language]'"
"""What installs the packages of this folder."""

ROUNDED_FILE = "model.int8.safetensors"
"""Weights in a byte each, as the embedded model has them (`assistant/language/embedded/storage.py`). Not the name that
transformers looks for: it would take the integers for weights."""

INDEX = "model.safetensors.index.json"

MOST_BYTES = 64 << 20
"""Of a config.json or an index; none comes near it."""

END_BYTES = 1 << 20
"""Of either end of a file of weights."""

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_INSTRUCT = (
    "Choose an instruct model in the format of transformers, with safetensors, tokenizer.json and chat template."
)


@dataclass(frozen=True)
class LLMFolder:
    """A folder that holds a whole language model of an architecture of the table."""

    path: Path
    shown_name: str
    """What may be said aloud: a name of the hub, or 'embedded', or the family; never a path."""
    architecture: str
    row: LLMRow
    config: dict[str, Any]
    weights: tuple[Path, ...]

    @property
    def stored_quantisation(self) -> str | None:
        """'4bit' or '8bit' for weights that bitsandbytes made, else None."""
        stored = self.config.get("quantization_config")
        if not isinstance(stored, dict):
            return None
        return "4bit" if stored.get("load_in_4bit") else "8bit" if stored.get("load_in_8bit") else None


def open_folder(name_or_folder: str | Path) -> LLMFolder:
    """The files of 'embedded', of a local folder, or of a name whose files the hub's own command has fetched.

    Raises WeightsError E_LLM: nothing there, no config.json, an architecture that is not in the table, an adapter
    instead of a model, weights that are not safetensors or not all there, no tokenizer.json.
    """
    path, shown = _find(name_or_folder)
    config = _read_json(path, "config.json")
    named = config.get("architectures")
    architecture = str(named[0]) if isinstance(named, list) and named else "none"
    row = row_for(architecture)
    if (path / "adapter_config.json").exists():
        raise WeightsError(
            "E_LLM",
            "A LoRA adapter lies where a language model is looked for.",
            "Give the folder of the language model that the adapter was trained on.",
        )
    weights = _weights(path)
    if not (path / "tokenizer.json").is_file():
        raise WeightsError("E_LLM", "The language model has no fast tokenizer (tokenizer.json).", _INSTRUCT)
    return LLMFolder(path, shown or row.name, architecture, row, config, weights)


def weights_digest(*folders: Path) -> str:
    """Eight hex digits of the weights below some folders, their sizes and both ends of each file: other weights, other
    digits. A folder that is not there adds nothing. Not all of every file, which of a large model takes many seconds.
    """
    digest = hashlib.sha256()
    for file in (file for folder in folders for file in sorted(folder.rglob("*.safetensors"))):
        size = file.stat().st_size
        digest.update(f"{file.name} {size} ".encode())
        with file.open("rb") as content:
            digest.update(content.read(END_BYTES))
            content.seek(max(0, size - END_BYTES))
            digest.update(content.read(END_BYTES))
    return digest.hexdigest()[:8]


def _find(name_or_folder: str | Path) -> tuple[Path, str]:
    """The folder, and the name that may be said aloud ('' for a folder of the user's)."""
    name = str(name_or_folder)
    if name == EMBEDDED:
        if EMBEDDED_FOLDER.is_dir():
            return EMBEDDED_FOLDER, EMBEDDED
        raise WeightsError(
            "E_LLM", "The embedded language model is not installed.", "Install the package again; the wheel holds it."
        )
    if Path(name).is_dir():
        return Path(name), ""
    if not _HUB_NAME.fullmatch(name):
        raise WeightsError(
            "E_LLM",
            "There is no such folder with a language model.",
            "Give 'embedded', a folder, or a name of the model hub such as Qwen/Qwen3-4B-Instruct-2507.",
        )
    return _fetched(name), name


def _fetched(name: str) -> Path:
    """The folder in the hub's cache, which HF_HOME moves. Raises WeightsError E_LLM where it was never fetched."""
    from transformers.utils.hub import cached_file

    try:
        found = cached_file(name, "config.json", local_files_only=True)
    except OSError:
        found = None
    if found is None:
        raise WeightsError(
            "E_LLM",
            f"{name} has not been fetched from the model hub.",
            f"Run: hf download {name} --include '*.json' --include '*.jinja' --include 'model*.safetensors'.",
        )
    return Path(found).parent


def _weights(path: Path) -> tuple[Path, ...]:
    """The files that hold the tensors: one, or those that the index lists."""
    if (path / INDEX).is_file():
        listed = _read_json(path, INDEX).get("weight_map")
        names = sorted({str(name) for name in listed.values()}) if isinstance(listed, dict) else []
        if not names or any(Path(name).name != name or not name.endswith(".safetensors") for name in names):
            raise WeightsError("E_LLM", "The index of the language model's weights cannot be used.", _INSTRUCT)
    else:
        names = [ROUNDED_FILE if (path / ROUNDED_FILE).is_file() else "model.safetensors"]
    files = tuple(path / name for name in names)
    missing = sum(not file.is_file() for file in files)
    if missing == len(files):
        raise WeightsError("E_LLM", "The language model has no weights in safetensors; others are not read.", _INSTRUCT)
    if missing:
        raise WeightsError(
            "E_LLM",
            f"{missing} of {len(files)} files of the language model's weights are not there.",
            "Fetch or copy the model again.",
        )
    return files


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    """The object in one of its files. Raises WeightsError E_LLM."""
    file = folder / name
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ValueError
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError("E_LLM", f"The language model has no {name}.", _INSTRUCT) from None
    except (OSError, ValueError, RecursionError):
        raise WeightsError(
            "E_LLM", f"The language model's {name} cannot be read.", "Fetch or copy the model again."
        ) from None
    if not isinstance(content, dict):
        raise WeightsError("E_LLM", f"The language model's {name} is no JSON object.", _INSTRUCT)
    return content
