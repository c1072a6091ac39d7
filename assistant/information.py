"""What this installation can do: structures, models and versions. Imports no torch and reads no weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from assistant.records import INTENDED_USE, SCHEMA_VERSION
from assistant.skills import SKILLS
from assistant.skills.talk import unsupported
from assistant.version import library_versions, software_version
from vision.models.registry import ModelEntry, read_models
from vision.scene import Ability, ability
from vision.structures import STRUCTURES

ABILITIES: Mapping[Ability, str] = MappingProxyType(
    {"segments": "Segments itself", "derives": "Derives by rule", "cannot": "Cannot segment yet"}
)


def describe_installation() -> dict[str, Any]:
    """Everything `bodymaps info` tells, as plain JSON values."""
    models = read_models()
    segmented = frozenset(name for model in models.values() for name in model.channels)
    taught = {
        name: words for model in models.values() for name, words in model.trained_on.items() if name in model.channels
    }
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
                "trained_on": taught.get(structure.name),
            }
            for structure in STRUCTURES
            if structure.label is not None
        ],
        "skills": [name for name, skill in SKILLS.items() if skill is not unsupported],
        "skills_not_yet": [name for name, skill in SKILLS.items() if skill is unsupported],
    }


def installation_text(described: Mapping[str, Any]) -> str:
    """`describe_installation` for people."""
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
        _structure_table(described["structures"]),
        f"Skills: {_joined(described['skills'])}; not yet: {_joined(described['skills_not_yet'])}",
        "With " + ", ".join(f"{name} {number}" for name, number in described["libraries"].items()),
    ]
    return "\n".join(lines)


def _structure_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Structures with the integer of the label map and what taught them, under what can be done with them."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for each, words in ABILITIES.items():
        count = sum(row["ability"] == each for row in rows)
        table.add_column(f"{words} ({count})", vertical="top")
    table.add_row(
        *("\n".join(_structure_line(row) for row in rows if row["ability"] == each) or "none" for each in ABILITIES)
    )
    console = Console(width=100)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def _structure_line(row: Mapping[str, Any]) -> str:
    """Label, name and what kind of CTs taught the model, as in '5  liver (real)'."""
    taught = f" ({row['trained_on']})" if row["trained_on"] else ""
    return f"{row['label']:3}  {row['spoken']}{taught}"


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
