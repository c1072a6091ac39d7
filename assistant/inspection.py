"""What is in a CT file, and what each skill can do with it, without segmenting anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from assistant.information import describe_installation
from assistant.records import INTENDED_USE
from prompts import load_words
from vision.errors import InputRefused
from vision.io import Choices, SeriesInfo, describe_ct, inventory, load_ct, series_table


def inspect_ct(path: Path, *, series: str | None = None) -> dict[str, Any]:
    """The series of an input, the CT that would be opened, its warnings and the skills; plain JSON values.

    With several series and no choice `ct` is None. Raises InputRefused for what cannot be opened.
    """
    listed = inventory(path)
    try:
        ct = load_ct(path, choices=Choices(series=series))
    except InputRefused as error:
        if error.code != "E_SERIES_AMBIGUOUS" or series is not None:
            raise
        ct = None
    return {
        "intended_use": INTENDED_USE,
        "series": [asdict(row) for row in listed],
        "ct": None if ct is None else describe_ct(ct),
        "skills": skills_here(),
    }


def skills_here() -> dict[str, str]:
    """Skill -> what it can do with the installed model."""
    words = load_words("inspect")["skills"]
    rows = describe_installation()["structures"]
    own = [row["spoken"] for row in rows if row["ability"] == "segments"]
    filled = {
        "own": ", ".join(own),
        "derived": ", ".join(row["spoken"] for row in rows if row["ability"] == "derives") or "none",
        "lesions": ", ".join(row["spoken"] for row in rows if row["ability"] == "segments" and row["kind"] == "lesion")
        or "none",
    }
    needs_no_mask = ("describe",)
    return {
        name: text.format(**filled) if own or name in needs_no_mask else words["without_model"]
        for name, text in words.items()
        if name != "without_model"
    }


def inspection_text(inspected: Mapping[str, Any]) -> str:
    """`inspect_ct` for people."""
    lines = []
    if inspected["ct"] is None:
        lines += ["It holds several series; choose one with --series.", ""]
    if len(inspected["series"]) > 1:
        lines += [series_table([SeriesInfo(**row) for row in inspected["series"]]), ""]
    described = dict(inspected["ct"] or {})
    warnings = described.pop("warnings", [])
    lines += [f"{name:22} {value}" for name, value in _flat(described)]
    lines += [f"warning {warning['code']}: {warning['text']}" for warning in warnings]
    lines += ["", *(f"{name:9} {text}" for name, text in inspected["skills"].items())]
    return "\n".join(lines)


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(name in words, value in words) of nested JSON values; what is not known is left out."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            above = "" if key == "facts" else f"{key.replace('_', ' ')} "
            yield from ((f"{above}{name}", text) for name, text in _flat(value))
        elif isinstance(value, list):
            yield key.replace("_", " "), (" to " if key.startswith("hu") else " x ").join(str(part) for part in value)
        elif value is not None:
            yield key.replace("_", " "), str(value)
