"""Grounding: sentences get their numbers from records, and a finished text is read again before a person sees it."""

from __future__ import annotations

from assistant.grounding.impressions import say_impression
from assistant.grounding.numbers import format_measurement
from assistant.grounding.sentences import split_sentences
from assistant.grounding.slots import (
    MissingSlot,
    UnknownWord,
    fillings,
    listed,
    render,
    say,
    say_lesion,
    structure_list,
)
from assistant.grounding.told import RELIABLE_FROM, say_scope, say_types
from assistant.grounding.verify import Checked, Problem, Verifier, check_sentences, verify

__all__ = [
    "RELIABLE_FROM",
    "Checked",
    "MissingSlot",
    "Problem",
    "UnknownWord",
    "Verifier",
    "check_sentences",
    "fillings",
    "format_measurement",
    "listed",
    "render",
    "say",
    "say_impression",
    "say_lesion",
    "say_scope",
    "say_types",
    "split_sentences",
    "structure_list",
    "verify",
]
