"""DeepTumorVQA (Chen et al. 2025, version 2): its questions, its scoring and its tools over given measurements."""

from __future__ import annotations

from assistant.language.evaluation.deep_tumor.agent import MOST_STEPS, Chat, Turn, answer_questions
from assistant.language.evaluation.deep_tumor.questions import Question, read_questions
from assistant.language.evaluation.deep_tumor.scoring import DeepTumorScore, SubtypeScore, score_answers
from assistant.language.evaluation.deep_tumor.tools import Measured, read_measured, tool_descriptions

__all__ = [
    "MOST_STEPS",
    "Chat",
    "DeepTumorScore",
    "Measured",
    "Question",
    "SubtypeScore",
    "Turn",
    "answer_questions",
    "read_measured",
    "read_questions",
    "score_answers",
    "tool_descriptions",
]
