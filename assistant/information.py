"""What this installation can do: structures, models and versions. Imports no torch and reads no weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assistant.records import INTENDED_USE, SCHEMA_VERSION
from assistant.skills import SKILLS
from assistant.skills.talk import unsupported
from assistant.version import library_versions, software_version
from vision.models.registry import ModelEntry, read_models
from vision.scene import Ability, ability
from vision.structures import STRUCTURES

ABILITIES: tuple[Ability, ...] = ("segments", "derives", "cannot")


def describe_installation() -> dict[str, Any]:
    """Everything `bodymaps info` tells, as plain JSON values."""
    models = read_models()
    segmented = frozenset(name for model in models.values() for name in model.channels)
    return {
        "software": software_version(),
        "schema_version": SCHEMA_VERSION,
        "intended_use": INTENDED_USE,
        "libraries": library_versions(),
        "models": [_describe_model(model) for model in models.values()],
        "structures": [
            {
                "name": structure.name,
                "spoken": structure.spoken,
                "kind": structure.kind,
                "label": structure.label,
                "ability": ability(segmented, structure.name),
            }
            for structure in STRUCTURES
            if structure.label is not None
        ],
        "skills": [name for name, skill in SKILLS.items() if skill is not unsupported],
        "skills_not_yet": [name for name, skill in SKILLS.items() if skill is unsupported],
    }


def installation_text(described: Mapping[str, Any]) -> str:
    """`describe_installation` for people."""
    spoken: dict[str, list[str]] = {each: [] for each in ABILITIES}
    for row in described["structures"]:
        spoken[row["ability"]].append(row["spoken"])
    lines = [f"BodyMaps Assistant {described['software']}", described["intended_use"], ""]
    for model in described["models"]:
        lines += [
            f"Model {model['name']}{'' if model['installed'] else ' (its weights are missing)'}",
            f"  sha256 {model['sha256']}",
            f"  card   {model['card']}",
        ]
    if not described["models"]:
        lines.append("No model is installed: nothing can be segmented.")
    lines += [
        "",
        f"Segments itself ({len(spoken['segments'])}): {_joined(spoken['segments'])}",
        f"Derives by rule ({len(spoken['derives'])}): {_joined(spoken['derives'])}",
        f"Cannot segment yet ({len(spoken['cannot'])}): {_joined(spoken['cannot'])}",
        "",
        f"Skills: {_joined(described['skills'])}; not yet: {_joined(described['skills_not_yet'])}",
        "With " + ", ".join(f"{name} {number}" for name, number in described["libraries"].items()),
    ]
    return "\n".join(lines)


def _joined(words: list[str]) -> str:
    return ", ".join(words) or "none"


def _describe_model(model: ModelEntry) -> dict[str, Any]:
    return {
        "name": model.name,
        "sha256": model.sha256,
        "file": model.file.name,
        "card": str(model.card),
        "installed": model.file.is_file(),
        "structures": list(model.channels),
    }
