"""A language model that answers questions with tools: a few steps, and on the last one it has to answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.language.evaluation.deep_tumor.questions import Form, Question
from assistant.language.evaluation.deep_tumor.tools import Measured, run_tool, tool_descriptions
from prompts import load_words
from vision.segmenter import Progress, no_progress

MOST_STEPS = 5
"""Turns of the model for one question; in the last it has no tools."""


@dataclass(frozen=True)
class Turn:
    """What a model said: words, and the tools that it calls, (name, arguments) each."""

    text: str
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()


Chat = Callable[[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]], Turn]
"""Messages and tools -> the next turn. `llm_chat` makes one of a language model."""


def answer_questions(
    questions: Sequence[Question],
    chat: Chat,
    *,
    measured: Measured,
    form: Form,
    progress: Progress = no_progress,
) -> list[str]:
    """The last words on each question, every one asked by itself."""
    answers = []
    for number, question in enumerate(questions):
        progress("questions", number / len(questions))
        answers.append(answer_question(question, chat, measured=measured, form=form))
    return answers


def answer_question(question: Question, chat: Chat, *, measured: Measured, form: Form) -> str:
    """Let the model call tools for at most `MOST_STEPS` turns."""
    words = load_words("deep_tumor")
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": words["system"].strip()},
        {"role": "user", "content": f"{question.asked(form)}\n{words[form]}"},
    ]
    turn = Turn("")
    for step in range(MOST_STEPS):
        turn = chat(messages, tool_descriptions() if step < MOST_STEPS - 1 else [])
        if not turn.calls:
            break
        calls = [{"name": name, "arguments": dict(arguments)} for name, arguments in turn.calls]
        messages.append({"role": "assistant", "content": turn.text, "tool_calls": calls})
        for name, arguments in turn.calls:
            told = run_tool(name, arguments, image_id=question.image_id, measured=measured)
            messages.append({"role": "tool", "content": json.dumps(told)})
    return turn.text
