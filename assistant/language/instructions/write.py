"""Writing instruction data: rows of several kinds as JSON lines, and a summary of what they hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from assistant.language.instructions.rows import Row, plan_row
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


def write_rows(
    out: Path, *, count: int, seed: int, makers: Mapping[str, Maker], progress: Progress = no_progress
) -> Summary:
    """Write `count` rows, the kinds of `makers` by turns in equal shares of their number, and say what they hold.

    The same arguments give the same bytes. Raises UsageError E_COUNT for a count below one, and as `write_atomically`.
    """
    if count < 1:
        raise UsageError("E_COUNT", "The number of rows is below one.", "Ask for at least one row with --count.")
    summary = Summary()

    def write(file: BinaryIO) -> None:
        for number, row in enumerate(_rows(count, makers)):
            if number % _EVERY == 0:
                progress("writing rows", number / count)
            summary.add(row)
            file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")

    write_atomically(out, write)
    progress("done", 1.0)
    return summary


def _rows(count: int, makers: Mapping[str, Maker]) -> Iterator[Row]:
    kinds = tuple(makers)
    for number in range(count):
        yield makers[kinds[number % len(kinds)]](number)


def plan_maker(seed: int) -> Maker:
    """Rows of plans, by number."""
    return lambda number: plan_row(number, seed)


def chosen_kinds(kinds: str) -> tuple[str, ...]:
    """The kinds named in 'plan,words'. Raises UsageError E_KINDS for others."""
    named = tuple(dict.fromkeys(part.strip() for part in kinds.split(",") if part.strip()))
    unknown = [name for name in named if name not in KINDS]
    if unknown or not named:
        raise UsageError("E_KINDS", "A kind of row is not known.", f"Name some of: {', '.join(KINDS)}.")
    return named
