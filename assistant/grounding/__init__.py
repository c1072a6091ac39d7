"""Grounding: sentences get their numbers from records, and a finished text is read again before a person sees it."""

from __future__ import annotations

from assistant.grounding.impressions import say_impression
from assistant.grounding.numbers import format_measurement
from assistant.grounding.sentences import split_sentences
from assistant.grounding.slots import MissingSlot, UnknownWord, fillings, listed, render, say, structure_list
from assistant.grounding.verify import Checked, Problem, Verifier, check_sentences, verify

__all__ = [
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
    "split_sentences",
    "structure_list",
    "verify",
]
