"""What a language model reads before it plans: the one place that says so, for planning as for training."""

from __future__ import annotations

from assistant.language.grammar import MOST_CALLS, can_write, plan_text
from assistant.language.words import clean
from assistant.plan import Memory
from prompts import load_words
from vision.structures import names

Message = dict[str, str]


def plan_messages(question: str, memory: Memory) -> list[Message]:
    """System text, with the calls of the turn before, and the question, for a model that the recipe has taught.

    The question is in lower case: no plan depends on capitals, and a small model has half the words to learn.
    """
    words = load_words("planner")["taught"]
    return _messages(words["system"], words["before"], question.lower(), memory)


def told_messages(question: str, memory: Memory) -> list[Message]:
    """The same for a model that was never taught: it is told its work, the arguments, every structure.

    `grammar.tools()` belongs beside them in the chat template.
    """
    words = load_words("planner")
    arguments = " ".join(f"{key}: {meaning}" for key, meaning in words["arguments"].items())
    told = words["told"]["system"].strip().format(structures=", ".join(names()), arguments=arguments)
    return _messages(told, words["told"]["before"], question, memory)


def _messages(system: str, before: str, question: str, memory: Memory) -> list[Message]:
    return [
        {"role": "system", "content": "\n".join([system, *_told_before(before, memory)])},
        {"role": "user", "content": clean(question)},
    ]


def _told_before(before: str, memory: Memory) -> list[str]:
    """The calls of the turn before as a line, none for a first turn. What the grammar cannot write is left out."""
    calls = [call for call in memory.last_calls if can_write(call)][-MOST_CALLS:]
    return [before.format(calls=plan_text(calls))] if calls else []
