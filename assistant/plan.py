"""A plan: which skills answer a question, with which arguments. And the seam to whatever makes one."""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

SKILL_NAMES = (
    "segment",
    "measure",
    "detect",
    "classify",
    "locate",
    "count",
    "compare",
    "describe",
    "report",
    "answer",
    "correct",
    "export",
    "help",
    "refuse",
)


class SkillCall(BaseModel):
    """One call of a skill. `arguments['structures']` holds names of the structure table, in the order asked.

    Argument keys in use: structures (list[str]); quantities (list of 'volume', 'diameter', 'long_axis', 'short_axis',
    'who', 'hu', 'distance', 'extent'); with_ ('other_side' | 'normal' | 'prior' | 'each_other') for compare; reason
    and near (list[str]) for refuse; template for report; finding (an earlier finding's id) where a pronoun points back;
    limit (int) for 'frame two potential tumours'.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Memory(BaseModel):
    """What the conversation so far leaves a planner to point back to; no voxels, no free text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    last_calls: tuple[SkillCall, ...] = ()
    """The calls of the previous turn."""

    last_structures: tuple[str, ...] = ()
    """Structures the previous turn was about, in order."""


class Planner(Protocol):
    """Words to skill calls. The rule planner and the language model share it."""

    name: str

    def plan(self, question: str, memory: Memory) -> list[SkillCall]:
        """At least one call; what cannot be done becomes a `refuse` or `help` call, never an exception."""
        ...
