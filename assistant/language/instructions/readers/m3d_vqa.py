"""M3D-VQA: a CSV of questions about CTs with four choices each, of five types."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from assistant.language.instructions.readers.source import chat_row, no_source, table_rows
from assistant.language.instructions.rows import Row

TYPES = {"1": "plane", "2": "phase", "3": "organ", "4": "abnormality", "5": "location"}
CHOICES = ("Choice A", "Choice B", "Choice C", "Choice D")
COLUMNS = ("Image Path", "Question Type", "Question", *CHOICES, "Answer", "Answer Choice")


def read_m3d_vqa(path: Path) -> Iterator[Row]:
    """Rows whose question ends with its choices and whose answer is 'A. text', as M3D puts them.

    Raises InputRefused E_NOT_FOUND, E_CHAT_SOURCE.
    """
    for row in table_rows(path, COLUMNS):
        kind = TYPES.get(row["Question Type"])
        letter = row["Answer Choice"].upper()
        if kind is None or letter not in ("A", "B", "C", "D") or not row["Image Path"] or not row["Question"]:
            raise no_source("a question has no image, no known type or no answer choice")
        options = " ".join(f"{column[-1]}. {row[column]}" for column in CHOICES if row[column])
        answer = f"{letter}. {row['Answer'] or row[f'Choice {letter}']}"
        yield chat_row(
            [(f"{row['Question']} Choices: {options}", answer)],
            ct=row["Image Path"],
            skill=f"m3d_{kind}",
            template=f"m3d_vqa.{kind}",
        )
