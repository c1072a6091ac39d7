"""A language model as a `Planner`: screens, messages, decoding under the grammar, then what makes sense of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assistant.language.grammar import Constraint, tools
from assistant.language.grammar.constraint import LIMIT
from assistant.language.llms.chat import Tool, chat_text
from assistant.language.llms.folder import EMBEDDED
from assistant.language.messages import Message, plan_messages, told_messages
from assistant.language.rules import RulePlanner
from assistant.language.screens import refusal_of, spoken
from assistant.language.settle import settle
from assistant.language.words import clean
from assistant.plan import Memory, SkillCall
from vision.errors import ResourceError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from assistant.language.llms.load import LoadedLLM

SURE = 0.5
"""How likely the whole plan of a taught model must be; where one is less likely, the rules plan if they understand."""

ROOM_FOR_QUESTION = 512
"""Tokens that a question may always have; a model whose window is too narrow for more is told less."""


@dataclass(frozen=True)
class Reading:
    """What a model reads beside the question: messages, and tools for its chat template."""

    messages: Callable[[str, Memory], list[Message]]
    tools: Sequence[Tool] = ()


TAUGHT = Reading(plan_messages)
"""For a model that the recipe has taught."""


class LLMPlanner:
    """Plans by a language model, greedily and under the grammar. Never raises; the rules plan when memory runs out.

    `name` says who made the last plan. Without a `reading` the embedded model reads what it was taught with, another
    is told everything that its window has room for. `blind` is held while the model writes: a plan is made from words
    alone, even where the same model looks at a CT for somebody else. A plan of more than `limit` tokens, less those to
    end it, is not understood. Where the plan is less likely than `sure`, the rules plan if they understand.
    """

    def __init__(
        self,
        llm: LoadedLLM,
        reading: Reading | None = None,
        *,
        blind: Callable[[], AbstractContextManager[None]] = nullcontext,
        limit: int = LIMIT,
        sure: float = 0.0,
    ) -> None:
        self._llm = llm
        self._sure = sure
        self._blind = blind
        self._limit = limit
        self._tool_format = llm.tool_format
        self._constraint = Constraint(llm.tokenizer, self._tool_format, ends=llm.ends)
        self._marks = marks_of(llm.tokenizer)
        self._window = llm.window
        self._reading = reading or self._fitting()
        self.name = llm.name

    def plan(self, question: str, memory: Memory) -> list[SkillCall]:
        """The skill calls of a question, in the order asked; `refuse` or `help` for what cannot be done."""
        self.name = self._llm.name
        reason = refusal_of(question)
        if reason is not None:
            return [_refuse(reason)]
        if not spoken(question):
            return [SkillCall(name="help")]
        try:
            return self._planned(question, memory)
        except (ResourceError, MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        self.name = f"rules, for {self._llm.name} ran out of memory"
        return RulePlanner().plan(question, memory)

    def prompt(self, question: str, memory: Memory) -> list[int]:
        """The tokens that the model reads. The question's words are in the turn of the user and cannot end it."""
        return self._encoded(self._reading, harmless(clean(question), self._marks), memory)

    def _planned(self, question: str, memory: Memory) -> list[SkillCall]:
        from assistant.language.grammar.greedy import write_plan

        prompt = self.prompt(question, memory)
        if len(prompt) + self._limit > self._window:
            return [_refuse("too_long")]
        plan = self._constraint.start(limit=self._limit)
        with self._blind():
            written = write_plan(self._llm.model, prompt, plan)
        if written.chance < self._sure:
            calls = RulePlanner().plan(question, memory)
            if all(call.name != "refuse" for call in calls):
                self.name = f"rules, for {self._llm.name} was not sure"
                return calls
        return (
            [_refuse("not_understood")] if plan.cut else settle(self._constraint.read(written.tokens), question, memory)
        )

    def _fitting(self) -> Reading:
        """Everything, unless the model was taught or has no room for it."""
        if self._llm.name == EMBEDDED:
            return TAUGHT
        told = Reading(told_messages, tools())
        needed = len(self._encoded(told, "", Memory())) + ROOM_FOR_QUESTION + self._limit
        return told if needed <= self._window else TAUGHT

    def _encoded(self, reading: Reading, question: str, memory: Memory) -> list[int]:
        messages = reading.messages(question, memory)
        return self._llm.ids(chat_text(self._llm.tokenizer, self._llm.row, messages, tools=reading.tools))


def import_libraries() -> None:
    """Import what `load_mind` and the first plan would import, without starting a thread."""
    import llguidance.hf  # noqa: F401
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast  # noqa: F401

    import assistant.language.grammar.greedy
    import assistant.language.mind  # noqa: F401


def marks_of(tokenizer: PreTrainedTokenizerBase) -> re.Pattern[str] | None:
    """Whatever a tokenizer takes out of a text as a whole, the ends of turns among it; None where there is nothing."""
    marks = {token.content.strip() for token in tokenizer.added_tokens_decoder.values()}
    longest_first = sorted((mark for mark in marks if len(mark) > 1), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


def harmless(text: str, marks: re.Pattern[str] | None) -> str:
    """The text with a blank after the first character of every mark, so that it is read letter by letter."""
    while marks is not None and marks.search(text):
        text = marks.sub(lambda mark: f"{mark[0][0]} {mark[0][1:]}", text)
    return text


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; on the CPU torch says so in a RuntimeError of no class of its own."""
    return isinstance(error, ResourceError | MemoryError) or "allocate" in str(error) or "out of memory" in str(error)


def _refuse(reason: str) -> SkillCall:
    return SkillCall(name="refuse", arguments={"reason": reason})
