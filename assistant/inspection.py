"""What is in a CT file, and what each skill can do with it, without segmenting anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from assistant.information import describe_installation
from assistant.records import INTENDED_USE
from prompts import load_words
from vision.errors import InputRefused
from vision.geometry import Notice
from vision.io import ASK, REGIONS, Choices, describe_ct, inventory, load_ct, series_info, series_table


def inspect_ct(path: Path, *, choices: Choices = ASK) -> dict[str, Any]:
    """The series of an input, the CT that would be opened, its warnings and the skills; plain JSON values.

    With several series and no choice `ct` is None. Raises InputRefused for what cannot be opened.
    """
    listed = inventory(path)
    try:
        ct = load_ct(path, choices=choices)
    except InputRefused as error:
        if error.code != "E_SERIES_AMBIGUOUS" or choices.series is not None:
            raise
        ct = None
    return {
        "intended_use": INTENDED_USE,
        "series": [asdict(row) for row in listed],
        "ct": None if ct is None else describe_ct(ct),
        "skills": skills_here(() if ct is None else ct.warnings),
    }


def skills_here(notices: Sequence[Notice] = ()) -> dict[str, str]:
    """Skill -> what it can do with the installed model, and with a CT of these warnings."""
    words, here = (load_words("inspect")[section] for section in ("skills", "here"))
    notes = [here[notice.code] for notice in notices if notice.code in here]
    rows = describe_installation()["structures"]
    own = [row["spoken"] for row in rows if row["ability"] == "segments"]
    lesions = [row["spoken"] for row in rows if row["ability"] == "segments" and row["kind"] == "lesion"]
    filled = {
        "own": ", ".join(own),
        "derived": ", ".join(row["spoken"] for row in rows if row["ability"] == "derives") or "none",
        "lesions": ", ".join(lesions),
    }
    needs_no_mask = ("describe",)
    able = {
        name: text.format(**filled) if own or name in needs_no_mask else words["without_model"]
        for name, text in words.items()
        if name not in ("without_model", "without_lesions")
    }
    if own and not lesions:
        able["detect"] = words["without_lesions"]
    return {
        name: " ".join([text, *(note["text"] for note in notes if name in note["skills"])])
        for name, text in able.items()
    }


def inspection_text(inspected: Mapping[str, Any]) -> str:
    """`inspect_ct` for people."""
    ct = inspected["ct"]
    blocks = []
    if ct is None:
        blocks.append("It holds several series; choose one with --series.")
    if len(inspected["series"]) > 1:
        blocks.append(series_table([series_info(row) for row in inspected["series"]]))
    if ct is not None:
        blocks.append(_rows(_ct_rows(ct)))
        blocks.append("\n".join(f"{warning['code']}: {warning['text']}" for warning in ct["warnings"]))
    blocks.append(_rows(inspected["skills"]))
    return "\n\n".join(filter(None, blocks))


def _ct_rows(ct: Mapping[str, Any]) -> dict[str, str]:
    """What was read, in a few lines; what the file does not say is 'unknown'."""
    facts, peaks = ct["facts"], ct["hu_peaks"]
    low, high = ct["hu_range"]
    shown = [f"{name} {facts[f'{name}_mm']:g} mm" for name in REGIONS if f"{name}_mm" in facts]
    scanner = [
        f"{facts['kvp']:g} kVp" if "kvp" in facts else "",
        f"{facts['kernel']} kernel" if "kernel" in facts else "",
        f"slices {facts['slice_thickness_mm']:g} mm thick" if "slice_thickness_mm" in facts else "",
    ]
    tissues = ", ".join(f"{tissue.replace('_', ' ')} {peak}" for tissue, peak in peaks.items() if peak is not None)
    return {
        "voxels": f"{_times(ct['shape'])} of {_times(ct['spacing_mm'])} mm, axes {ct['axcodes']}",
        "extent": f"{_times(ct['extent_mm'])} mm{', oblique' if ct['oblique'] else ''}",
        "shows": ", ".join(shown) or "no body that was recognised",
        "phase": str(facts.get("phase", "unknown")).replace("_", " "),
        "scanner": ", ".join(filter(None, scanner)) or "unknown",
        "HU": f"{low} to {high}; most frequent: {tissues or 'nothing like tissue'}",
    }


def _times(values: Sequence[float]) -> str:
    return " x ".join(f"{value:.4g}" for value in values)


def _rows(values: Mapping[str, str]) -> str:
    width = max(len(name) for name in values)
    return "\n".join(f"{name:{width}}  {text}" for name, text in values.items())
