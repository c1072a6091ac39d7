"""The arguments of every skill and the values that they may take, in one place; `SkillCall` says what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from vision.structures import names

Kind = Literal["list", "word", "finding", "count", "length"]

MOST_CALLS = 6
"""Of one plan; the rule planner's longest have as many."""
FINDING = "previous|F[1-9][0-9]{0,2}"
"""A regular expression of the findings that an argument may name."""


@dataclass(frozen=True)
class Argument:
    """One argument. `values` are the words that a list or a word may hold, `most` the longest list.

    A finding is 'previous' or 'F1' to 'F999', a count 1 to 99, a length 0.1 to 999.9 mm with at most one decimal.
    """

    key: str
    kind: Kind
    values: tuple[str, ...] = ()
    most: int = 1


_QUANTITIES = ("volume", "diameter", "long_axis", "short_axis", "who", "hu", "distance", "extent")
_FORMATS = ("nifti", "seg", "sr", "pdf", "html", "fhir", "json", "md", "csv", "png")
_REASONS = (
    "too_long",
    "not_understood",
    "instructions",
    "system",
    "privacy",
    "medical_advice",
    "contradictory",
    "unknown_structure",
    "which_structure",
)

ARGUMENTS: Mapping[str, Argument] = MappingProxyType(
    {
        argument.key: argument
        for argument in (
            Argument("reason", "word", _REASONS),
            Argument("structures", "list", names(), 32),
            Argument("within", "list", names(), 12),
            Argument("quantities", "list", _QUANTITIES, len(_QUANTITIES)),
            Argument("with_", "word", ("other_side", "normal", "prior", "each_other")),
            Argument("asked", "word", ("presence", "open")),
            Argument("limit", "count"),
            Argument("select", "word", ("largest", "smallest")),
            Argument("min_mm", "length"),
            Argument("max_mm", "length"),
            Argument("finding", "finding"),
            Argument("template", "word", ("pancreas", "structured", "narrative", "short")),
            Argument("formats", "list", _FORMATS, len(_FORMATS)),
            Argument("change", "word", ("reject", "shrink", "grow", "undo")),
            Argument("near", "list", names(), 12),
        )
    }
)
"""Argument by key, in the order in which a plan is written. `words`, free text, is not among them: nothing that a
language model writes into a plan is free."""

_ABOUT = ("structures", "within")
_WHICH = ("limit", "select", "min_mm", "max_mm", "finding")

TAKES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "segment": frozenset((*_ABOUT, *_WHICH)),
        "measure": frozenset((*_ABOUT, *_WHICH, "quantities")),
        "detect": frozenset((*_ABOUT, *_WHICH)),
        "classify": frozenset((*_ABOUT, *_WHICH)),
        "locate": frozenset((*_ABOUT, *_WHICH)),
        "count": frozenset((*_ABOUT, *_WHICH)),
        "compare": frozenset((*_ABOUT, *_WHICH, "quantities", "with_")),
        "describe": frozenset((*_ABOUT, "finding")),
        "report": frozenset((*_ABOUT, "finding", "template")),
        "answer": frozenset((*_ABOUT, *_WHICH, "asked")),
        "correct": frozenset((*_ABOUT, *_WHICH, "change")),
        "export": frozenset((*_ABOUT, "finding", "formats")),
        "help": frozenset(),
        "refuse": frozenset(("reason", "structures", "near")),
    }
)
"""The keys that each skill takes."""

REQUIRED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "measure": frozenset({"quantities"}),
        "compare": frozenset({"with_"}),
        "answer": frozenset({"asked"}),
        "correct": frozenset({"change"}),
        "refuse": frozenset({"reason"}),
    }
)
"""The keys without which a call of a skill says nothing; skills that are not listed need none."""


def arguments_of(skill: str) -> tuple[Argument, ...]:
    """The arguments that a skill takes, in the order in which they are written. Raises KeyError for no skill."""
    takes = TAKES[skill]
    return tuple(argument for argument in ARGUMENTS.values() if argument.key in takes)
