"""The key and the answers of a reader study, as files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vision.errors import InputRefused
from vision.io.files.entries import require_readable
from vision.io.refusal import refusing

KEY_FORMAT = "bodymaps-reader-study-key-1"
ANSWERS_FORMAT = "bodymaps-reader-study-answers-1"
REAL, PAINTED = "real", "painted"
LARGEST = 4 << 20


@dataclass(frozen=True)
class StudyKey:
    """What each item of a study is: the engine that painted it, None for a real lesion."""

    study: str
    engines: Mapping[str, str | None]


@dataclass(frozen=True)
class StudyAnswers:
    """What one reader said: item -> real or painted, of the items that were answered."""

    study: str
    said: Mapping[str, str]


def read_key(path: Path) -> StudyKey:
    """Read what `export_study` kept apart. Raises InputRefused E_STUDY_KEY for anything else."""
    with refusing("E_STUDY_KEY", "The key of the study cannot be read", "Give the key.json that was written with it."):
        content = json.loads(_text(path))
        if content["format"] != KEY_FORMAT:
            raise ValueError
        engines = {str(item): _engine(row) for item, row in content["items"].items()}
        return StudyKey(str(content["study"]), engines)


def read_answers(path: Path) -> StudyAnswers:
    """Read the JSON or CSV that a reader downloaded from the page.

    Raises InputRefused E_ANSWERS for another file, answers of several studies, or other words than real and painted.
    """
    remedy = "Give the .json or .csv that the study's page downloads."
    with refusing("E_ANSWERS", "The answers cannot be read", remedy):
        text = _text(path)
        study, said = _json_answers(text) if text.lstrip().startswith("{") else _csv_answers(text)
    if not set(said.values()) <= {REAL, PAINTED}:
        raise InputRefused("E_ANSWERS", f"An answer is neither {REAL} nor {PAINTED}.", remedy)
    return StudyAnswers(study, said)


def _text(path: Path) -> str:
    require_readable(path)
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError
    return content.decode("utf-8-sig")


def _engine(row: Mapping[str, Any]) -> str | None:
    if row["truth"] == REAL and row["engine"] is None:
        return None
    if row["truth"] != PAINTED:
        raise ValueError
    return str(row["engine"])


def _json_answers(text: str) -> tuple[str, dict[str, str]]:
    content = json.loads(text)
    if content["format"] != ANSWERS_FORMAT:
        raise ValueError
    return str(content["study"]), {str(item): str(said) for item, said in content["answers"].items()}


def _csv_answers(text: str) -> tuple[str, dict[str, str]]:
    rows = [(row["study"], row["item"], row["answer"]) for row in csv.DictReader(io.StringIO(text))]
    (study,) = {study for study, _, _ in rows}
    said = {item: answer for _, item, answer in rows if answer}
    if len({item for _, item, _ in rows}) < len(rows):
        raise ValueError
    return study, said
