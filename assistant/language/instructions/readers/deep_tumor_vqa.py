"""DeepTumorVQA: questions about abdominal CTs with answers, of four types and their subtypes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from assistant.language.instructions.readers.source import chat_row, json_value, no_source
from assistant.language.instructions.rows import Row

KEYS = ("image_id", "question", "answer", "question_type", "question_subtype")


def read_deep_tumor_vqa(path: Path) -> Iterator[Row]:
    """Rows of the free-form question and its answer as written; the subtype is the skill.

    Raises InputRefused E_NOT_FOUND, E_CHAT_SOURCE.
    """
    content = json_value(path)
    questions = content.get("questions") if isinstance(content, dict) else content
    if not isinstance(questions, list):
        raise no_source("it lacks 'questions'")
    for item in questions:
        missing = [key for key in KEYS if not isinstance(item, dict) or item.get(key) in (None, "")]
        if missing:
            raise no_source(f"a question lacks {missing[0]!r}")
        subtype = str(item["question_subtype"]).strip().lower().replace(" ", "_")
        yield chat_row(
            [(str(item["question"]).strip(), str(item["answer"]).strip())],
            ct=str(item["image_id"]),
            skill=f"deep_tumor_{subtype}",
            template=f"deep_tumor_vqa.{subtype}",
        )
