"""Writing instruction data: rows of several kinds as JSON lines, and a summary of what they hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from assistant.language.instructions.cases import VisualCase, read_cases
from assistant.language.instructions.rows import Row, plan_row
from assistant.language.instructions.visual import visual_maker
from assistant.language.instructions.words import words_row
from vision.errors import UsageError
from vision.io.files.atomic import write_atomically
from vision.segmenter import Progress, no_progress

KINDS = ("plan", "words", "visual")
_EVERY = 500
Maker = Callable[[int], Row]


@dataclass
class Summary:
    """What a file of rows holds: rows by kind and skill, templates used, rows and templates held out."""

    rows: Counter[str] = field(default_factory=Counter)
    skills: Counter[str] = field(default_factory=Counter)
    held_out: Counter[str] = field(default_factory=Counter)
    templates: dict[str, set[str]] = field(default_factory=dict)

    def add(self, row: Mapping[str, Any]) -> None:
        """Count one row."""
        self.rows[row["kind"]] += 1
        self.skills[row["skill"]] += 1
        self.held_out[row["skill"]] += row["split"] == "held_out"
        self.templates.setdefault(row["skill"], set()).update(row["template"].split("+"))

    def table(self) -> list[dict[str, Any]]:
        """One line a skill."""
        return [
            {"skill": name, "rows": n, "templates": len(self.templates[name]), "held_out": self.held_out[name]}
            for name, n in sorted(self.skills.items())
        ]


def write_rows(out: Path, *, count: int, makers: Mapping[str, Maker], progress: Progress = no_progress) -> Summary:
    """Write `count` rows, the kinds of `makers` in turn, each row by its number; say what they hold.

    The same makers give the same bytes. Raises UsageError E_COUNT for a count below one, and as `write_atomically`.
    """
    if count < 1:
        raise UsageError("E_COUNT", "The number of rows is below one.", "Ask for at least one row with --count.")
    kinds = tuple(makers)
    rows = (makers[kinds[number % len(kinds)]](number) for number in range(count))
    return write_lines(out, rows, count=count, progress=progress)


def write_lines(out: Path, rows: Iterable[Row], *, count: int, progress: Progress = no_progress) -> Summary:
    """Write rows as JSON lines; `count` is how many are expected. Raises as `write_atomically`, and as `rows` does."""
    summary = Summary()

    def write(file: BinaryIO) -> None:
        for number, row in enumerate(rows):
            if number % _EVERY == 0:
                progress("writing rows", number / max(count, 1))
            summary.add(row)
            file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")

    write_atomically(out, write)
    progress("done", 1.0)
    return summary


def makers_of(kinds: str, *, seed: int, cases: Path | None) -> dict[str, Maker]:
    """What makes the rows of each kind named in 'plan,words'.

    Raises UsageError E_KINDS for an unknown kind, and for visual rows without cases; as `read_cases`, `visual_maker`.
    """
    named = tuple(dict.fromkeys(part.strip() for part in kinds.split(",") if part.strip()))
    if not named or not set(named) <= set(KINDS):
        raise UsageError("E_KINDS", "A kind of row is not known.", f"Name some of: {', '.join(KINDS)}.")
    makers: dict[str, Maker] = {}
    for name in named:
        if name == "plan":
            makers[name] = lambda number: plan_row(number, seed)
        elif name == "words":
            makers[name] = lambda number: words_row(number, seed)
        else:
            makers[name] = visual_maker(seed, _read(cases))
    return makers


def _read(cases: Path | None) -> list[VisualCase]:
    if cases is None:
        raise UsageError(
            "E_KINDS", "Visual questions need CTs whose truth is known.", "Make some with 'bodymaps data cases'."
        )
    return read_cases(cases)
