"""From rows of chat to what a language model learns: each turn of the assistant as a prompt and the text to write.

A prompt is what the model reads when it is used: `plan_messages` before a plan, `words_messages` before words. So a
conversation of three turns gives three samples, each with what is known then and nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from assistant.language.grammar import call_texts
from assistant.language.grammar.text import can_write
from assistant.language.llms.chat import calls_text, chat_text, conversation_text
from assistant.language.llms.load import LoadedLLM
from assistant.language.llms.table import ToolFormat
from assistant.language.messages import plan_messages
from assistant.language.planner import harmless, marks_of
from assistant.language.taught import MASK
from assistant.language.training.encoded import EncodedSample
from assistant.language.training.rows import ChatRow
from assistant.language.wording import words_messages
from assistant.language.words import clean
from assistant.plan import Memory, SkillCall, memory_after
from vision.structures import STRUCTURES, plain_words

Messages = Sequence[Mapping[str, Any]]
_SLOT = re.compile(r"\{(\w+)\.structures?\}\s*\Z")
_MOST_WORDS = 8
"""Of a structure's name; the longest synonyms have as many."""


@dataclass(frozen=True)
class Sample:
    """One turn: what is read, the same without facts where it can be told so, and what is to be written."""

    messages: Messages
    without_facts: Messages | None
    target: str
    ct: str | None
    masks: tuple[str, ...] = ()


def samples_of(row: ChatRow, llm: LoadedLLM) -> Iterator[Sample]:
    """The turns of a conversation that a model learns to write, in order.

    A plan that the grammar cannot write, and words whose mask tokens name no structure, are passed over.
    """
    tool_format, marks = llm.tool_format, marks_of(llm.tokenizer)
    memory, question, facts = Memory(), "", None
    calls: tuple[SkillCall, ...] = ()
    for message in row.messages:
        if message.role == "user":
            question, facts, calls = harmless(clean(message.content), marks), None, ()
        elif message.role == "tool":
            facts = harmless(message.content, marks)
        elif message.role == "assistant" and message.calls:
            if all(can_write(call) for call in message.calls):
                yield Sample(plan_messages(question, memory), None, call_texts(message.calls, tool_format), None)
            calls, memory = message.calls, memory_after(message.calls, memory)
        elif message.role == "assistant":
            masks = row.masks or masked_structures(message.content, facts)
            if masks is not None:
                yield _words(question, calls, facts, message.content, ct=row.ct, masks=masks)


def encoder(llm: LoadedLLM) -> Callable[[Sample], tuple[EncodedSample, EncodedSample | None]]:
    """What turns samples into ids for one model: its chat template, its tokenizer, the end of its turns."""
    end = turn_end(llm)
    render = _renderer(llm)

    def encode(sample: Sample) -> tuple[EncodedSample, EncodedSample | None]:
        target = tuple(llm.ids(sample.target + end))
        told = EncodedSample(tuple(llm.ids(render(sample.messages))), target, sample.ct, sample.masks)
        if sample.without_facts is None:
            return told, None
        blind = EncodedSample(tuple(llm.ids(render(sample.without_facts))), target, sample.ct, sample.masks)
        return told, blind

    return encode


def texts_of(sample: Sample, llm: LoadedLLM) -> str:
    """The whole text of a sample, as a tokenizer is trained on it."""
    return chat_text(llm.tokenizer, llm.row, sample.messages) + sample.target + turn_end(llm)


def turn_end(llm: LoadedLLM) -> str:
    """What a model writes to end its turn, as its chat template has it."""
    probe = "a b c"
    whole = conversation_text(
        llm.tokenizer, llm.row, [{"role": "user", "content": "q"}, {"role": "assistant", "content": probe}]
    )
    return whole.rpartition(probe)[2].strip() or str(llm.tokenizer.eos_token)


def masked_structures(text: str, facts: str | None) -> tuple[str, ...] | None:
    """The structure that each mask token of a text stands for: the name, or the slot of one, right before it.

    None when one follows no name of the structure table.
    """
    found = []
    for part in text.split(MASK)[:-1]:
        slot = _SLOT.search(part)
        name = _told_structure(slot.group(1), facts) if slot else _named_last(part)
        if name is None:
            return None
        found.append(name)
    return tuple(found)


def _words(
    question: str,
    calls: Sequence[SkillCall],
    facts: str | None,
    target: str,
    *,
    ct: str | None,
    masks: tuple[str, ...],
) -> Sample:
    # Words with slots need the facts that fill them; only what a CT shows can be told without.
    can_look = ct is not None and facts is not None and "{" not in target
    without = words_messages(question, calls, None) if can_look else None
    return Sample(words_messages(question, calls, facts), without, target, ct, masks)


def _told_structure(finding: str, facts: str | None) -> str | None:
    try:
        spoken = json.loads(facts or "{}")[finding]["structure"]
    except (ValueError, KeyError, TypeError):
        return None
    return _named_last(str(spoken))


def _named_last(text: str) -> str | None:
    """The structure whose name or synonym is the longest run of words at the end of a text."""
    words = plain_words(re.sub(r"[^\w\s-]+", " ", text)).split()[-_MOST_WORDS:]
    runs = (" ".join(words[start:]) for start in range(len(words)))
    return next((_structure_names()[run] for run in runs if run in _structure_names()), None)


@cache
def _structure_names() -> Mapping[str, str]:
    """Words -> name of the structure table; of two structures with the same words the first counts, as in the table."""
    return {
        plain_words(form): row.name for row in reversed(STRUCTURES) for form in (*row.synonyms, row.spoken, row.name)
    }


def _renderer(llm: LoadedLLM) -> Callable[[Messages], str]:
    """`chat_text`, remembering what the template sets round each order of roles: half a million prompts take minutes.

    The first prompt of every order is rendered both ways; where they differ the template always does it.
    """
    tool_format = llm.tool_format
    frames: dict[tuple[str, ...], tuple[str, ...] | None] = {}

    def render(messages: Messages) -> str:
        roles = tuple(str(message["role"]) for message in messages)
        if roles not in frames:
            whole, frame = chat_text(llm.tokenizer, llm.row, messages), _frame(llm, roles)
            frames[roles] = frame if frame is not None and _framed(frame, messages, tool_format) == whole else None
            return whole
        frame = frames[roles]
        return chat_text(llm.tokenizer, llm.row, messages) if frame is None else _framed(frame, messages, tool_format)

    return render


def _framed(frame: Sequence[str], messages: Messages, tool_format: ToolFormat) -> str:
    parts = zip((_content(message, tool_format) for message in messages), frame[1:], strict=True)
    return frame[0] + "".join(content + after for content, after in parts)


def _content(message: Mapping[str, Any], tool_format: ToolFormat) -> str:
    """The content of a message with the calls that it makes, as the family writes them."""
    calls = message.get("tool_calls")
    return (calls_text(calls, tool_format) if calls else "") + str(message["content"]).strip()


def _frame(llm: LoadedLLM, roles: Sequence[str]) -> tuple[str, ...] | None:
    """What stands before, between and after contents of such roles; None where a template does more than set them."""
    probes = [f"probe-{number}-probe" for number in range(len(roles))]
    text = chat_text(
        llm.tokenizer,
        llm.row,
        [{"role": role, "content": probe} for role, probe in zip(roles, probes, strict=True)],
    )
    parts: list[str] = []
    for probe in probes:
        before, found, text = text.partition(probe)
        if not found:
            return None
        parts.append(before)
    return None if any(probe in text for probe in probes) else (*parts, text)
