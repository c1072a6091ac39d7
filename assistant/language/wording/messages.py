"""What a language model reads before it words an answer: the one place that says so, in use as in training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from assistant.language.grammar.text import can_write
from assistant.plan import SkillCall
from prompts import load_words

Message = dict[str, Any]


def words_messages(question: str, calls: Sequence[SkillCall], facts: str | None) -> list[Message]:
    """For a model that the recipe has taught: the question, its own calls, the records of `facts_json`.

    None leaves the records out: for what is to be answered from the CT. Calls that the grammar cannot write stay away:
    free text of a question is no part of a plan.
    """
    messages: list[Message] = [{"role": "user", "content": question}]
    if calls:
        messages.append({"role": "assistant", "content": "", "tool_calls": _told(calls)})
    return messages if facts is None else [*messages, {"role": "tool", "content": facts}]


def told_words_messages(
    question: str, calls: Sequence[SkillCall], facts: str, *, slots: Sequence[str]
) -> list[Message]:
    """The same for a model that was never taught: its work in the system message, all else from the user."""
    words = load_words("wording")["told"]
    system = words["system"].strip().format(slots=", ".join(f"{{{slot}}}" for slot in slots))
    told = json.dumps(_told(calls))
    content = words["records"].format(question=question, calls=told, facts=facts)
    return [{"role": "system", "content": system}, {"role": "user", "content": content}]


def _told(calls: Sequence[SkillCall]) -> list[Message]:
    return [
        {"name": call.name, "arguments": {key: value for key, value in call.arguments.items() if key != "words"}}
        for call in calls
        if can_write(call)
    ]
