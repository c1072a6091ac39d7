"""A plan: which skills answer a question, with which arguments. And the seam to whatever makes one."""

from __future__ import annotations

from collections.abc import Sequence
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

    Names of structures that nothing here can segment ('extra' rows: seminal_vesicles, lung_lesion) are passed on too:
    the skill says so. Argument keys, each left out where it says nothing:

    - structures (list[str]); within (list[str]): organs or parts that the lesions in `structures` are sought in
    - quantities (list of 'volume', 'diameter', 'long_axis', 'short_axis', 'who', 'hu', 'distance', 'extent'): measure
    - with_ ('other_side' | 'normal' | 'prior' | 'each_other'): compare; quantities too, where the question names any
    - limit (int): 'frame two potential tumours'; select ('largest' | 'smallest') of several lesions;
      min_mm, max_mm (float): only lesions with a long axis above or below
    - finding: 'previous' where a pronoun points back (to the call before, else to the turn before), or an id ('F2')
    - asked ('presence' | 'open'): answer; template (str): report; formats (list[str]): export
    - change ('reject' | 'shrink' | 'grow' | 'undo'): correct
    - reason, near (list[str]) and words (str, what was not understood): refuse. Reasons: too_long, not_understood,
      instructions, system, privacy, medical_advice, contradictory (near is what the words could mean),
      unknown_structure (with structures where lesions of known ones were asked for that nothing searches for),
      which_structure
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


def memory_after(calls: Sequence[SkillCall], before: Memory) -> Memory:
    """What the next turn can point back to; a turn about nothing leaves it as it was."""
    structures = tuple(dict.fromkeys(name for call in calls for name in call.arguments.get("structures", ())))
    return Memory(last_calls=tuple(calls), last_structures=structures) if structures else before


class Planner(Protocol):
    """Words to skill calls. The rule planner and the language model share it."""

    name: str

    def plan(self, question: str, memory: Memory) -> list[SkillCall]:
        """At least one call; what cannot be done becomes a `refuse` or `help` call, never an exception."""
        ...
