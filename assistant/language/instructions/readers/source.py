"""What the readers share: opening, columns, typed refusals, and rows whose split goes by the CT."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from assistant.language.instructions.rows import Row
from assistant.language.instructions.templates import split_of
from vision.errors import InputRefused

_LONGEST_CELL = 4_000_000
"""Characters of one cell; reports have a few thousand."""


def table_rows(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """The rows of a CSV file that has at least `columns`, blanks stripped. Raises InputRefused as `no_source` says."""
    _require_file(path)
    csv.field_size_limit(_LONGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise no_source(f"it lacks the column {missing[0]!r}")
            for row in reader:
                yield {str(key): (value or "").strip() for key, value in row.items() if isinstance(value, str | None)}
    except (UnicodeDecodeError, csv.Error):
        raise no_source("it is no CSV table") from None


def json_value(path: Path) -> Any:
    """The value of a JSON file, or the list of values of a file of JSON lines. Raises InputRefused."""
    _require_file(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        return json.loads(text)
    except ValueError:
        raise no_source("it is no JSON") from None


def no_source(why: str) -> InputRefused:
    """The refusal of a file that is not of the layout; `why` names columns and keys, never a value of the file."""
    return InputRefused(
        "E_CHAT_SOURCE", f"The file is not of this layout: {why}.", "Choose the layout that the file has, see --help."
    )


def chat_row(turns: Sequence[tuple[str, str]], *, ct: str, skill: str, template: str, kind: str = "visual") -> Row:
    """A row of question and answer turns about a CT. All rows of a CT are of one split."""
    messages: list[Mapping[str, str]] = []
    for question, answer in turns:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {
        "messages": messages,
        "ct": ct,
        "skill": skill,
        "template": template,
        "split": split_of(ct),
        "kind": kind,
    }


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise InputRefused("E_NOT_FOUND", "The file to convert does not exist.", "Check its path.")
