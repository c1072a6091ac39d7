"""The questions of DeepTumorVQA: its file, and what kind of answer each of its 42 subtypes takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from vision.errors import InputRefused

AnswerKind = Literal["number", "yes_no", "word"]
Form = Literal["choice", "free"]

TYPES = ("recognition", "measurement", "visual reasoning", "medical reasoning")

_NUMBERS = (
    "organ volume measurement",
    "organ HU measurement",
    "lesion volume measurement",
    "organ HU ratio",
    "tumor burden percentage",
    "largest lesion diameter",
    "largest lesion slice",
    "lesion counting",
    "lesion count by location",
    "organ aggregation",
    "tumor organ HU difference",
)
_YES_NO = (
    "pancreatic lesion existence",
    "liver lesion existence",
    "kidney lesion existence",
    "kidney tumor existence",
    "kidney cyst existence",
    "colon lesion existence",
    "PDAC existence",
    "PNET existence",
    "lesion outlier",
    "organ enlargement",
    "pancreatic steatosis",
    "pancreatic cyst resectability",
    "pseudocyst determination",
    "splenomegaly detection",
    "portal hypertension assessment",
)
_WORDS = (
    "liver lesion clustering",
    "kidney volume comparison",
    "largest lesion attenuation",
    "largest lesion location",
    "inter-segment comparison",
    "adjacent organ",
    "bilateral kidney asymmetry",
    "multi-organ lesion burden comparison",
    "fatty liver",
    "hepatic steatosis grading",
    "pancreatic tumor staging",
    "pancreatic lesion resectability",
    "PDAC vs PNET classification",
    "lesion type classification",
    "splenomegaly grading",
    "renal mass characterization",
)

ANSWERS: Mapping[str, AnswerKind] = MappingProxyType(
    {
        **dict.fromkeys(_NUMBERS, "number"),
        **dict.fromkeys(_YES_NO, "yes_no"),
        **dict.fromkeys(_WORDS, "word"),
    }
)
"""Subtype -> kind of its free answer, as the benchmark scores it; a subtype that is not listed takes a word."""


@dataclass(frozen=True)
class Question:
    """One question: open as `question` with its `answer`, and with choices as `mc_question` with its letter."""

    image_id: str
    question: str
    answer: str
    mc_question: str
    correct_option: str
    question_type: str
    question_subtype: str

    def asked(self, form: Form) -> str:
        """The words that are asked."""
        return self.mc_question if form == "choice" else self.question

    def wanted(self, form: Form) -> str:
        """The right letter, or the right answer."""
        return self.correct_option if form == "choice" else self.answer


def read_questions(path: Path) -> list[Question]:
    """The questions of a test_qa.json: {"questions": [...]}, or the list alone.

    Raises InputRefused E_NOT_FOUND for a missing file, E_QUESTIONS for one of another form.
    """
    if not path.is_file():
        raise InputRefused("E_NOT_FOUND", "The file of questions does not exist.", "Check the path of the questions.")
    try:
        content = json.loads(path.read_text("utf-8"))
        rows = content["questions"] if isinstance(content, dict) else content
        questions = [_question(row) for row in rows]
    except (ValueError, KeyError, TypeError):
        raise InputRefused(
            "E_QUESTIONS", "The file does not hold questions of DeepTumorVQA.", "Give its benchmark's test_qa.json."
        ) from None
    if not questions:
        raise InputRefused("E_QUESTIONS", "The file holds no question.", "Give its benchmark's test_qa.json.")
    return questions


def _question(row: Mapping[str, Any]) -> Question:
    return Question(
        image_id=str(row["image_id"]),
        question=str(row["question"]),
        answer=str(row["answer"]),
        mc_question=str(row.get("mc_question") or row["question"]),
        correct_option=str(row.get("correct_option") or ""),
        question_type=str(row["question_type"]).lower(),
        question_subtype=str(row["question_subtype"]),
    )
