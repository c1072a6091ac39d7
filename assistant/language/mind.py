"""One language model for a whole conversation: it plans, it words and, where it has a sight, it looks."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.language.planner import SURE, TAUGHT, LLMPlanner
from assistant.language.wording import Eyes, LLMLooker, LLMSpeaker
from assistant.plan import Memory, SkillCall

if TYPE_CHECKING:
    from assistant.language.llms.load import Quantisation
    from assistant.language.taught import TaughtLLM


class LLMMind:
    """Fulfils `assistant.plan.Planner` and `assistant.speech.Mind`. `name` says who made the last plan."""

    def __init__(self, taught: TaughtLLM) -> None:
        eyes = None if taught.sighted is None else Eyes(taught.sighted)
        sighted = taught.sighted
        self._planner = LLMPlanner(
            taught.llm,
            TAUGHT if taught.taught else None,
            blind=nullcontext if sighted is None else lambda: sighted.looking(None),
            sure=SURE if taught.taught else 0.0,
        )
        self.name = self._planner.name
        self.speaker = LLMSpeaker(taught.llm, eyes, taught=taught.taught)
        self.looker = None if eyes is None else LLMLooker(taught.llm, eyes)

    def plan(self, question: str, memory: Memory) -> list[SkillCall]:
        """The skill calls of a question, as `LLMPlanner` makes them."""
        calls = self._planner.plan(question, memory)
        self.name = self._planner.name
        return calls


def load_mind(name_or_folder: str | Path, *, quantisation: Quantisation = "none") -> LLMMind:
    """The mind of 'embedded', of a folder, taught or not, or of a name of the hub. Raises as `load_taught` does."""
    from assistant.language.taught import load_taught

    return LLMMind(load_taught(name_or_folder, quantisation=quantisation))
