"""The sentences of one answer as they are written: templates chosen by what the records hold, mask tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from random import Random

from assistant.language.instructions.findings import literal_name
from assistant.language.instructions.grammar import all_expanded, hash_of, words_of
from assistant.language.taught import MASK
from assistant.records import Finding, Status

_SUBJECT = re.compile(r"\{([FAB])\.(\w+)\}")

_NAMING = frozenset({"structure", "structures", "id", "organ"})
"""Slots that say of what, not what."""


@cache
def sentences_for(key: str) -> tuple[tuple[str, str], ...]:
    """The sentences of one kind, each with its id."""
    return tuple((f"words.{key}.{hash_of(text)}", text) for text in all_expanded(words_of("words")[key]))


class Page:
    """The sentences of one answer as they are written: ids of their templates, and whose mask was shown already."""

    def __init__(self, rng: Random, *, masks: bool) -> None:
        self.rng = rng
        self.masks = masks
        self.texts: list[str] = []
        self.ids: list[str] = []
        self._shown: set[str] = set()
        self._told: set[tuple[str, str]] = set()
        self._literal = rng.random() < 0.5

    def write(self, key: str, *subjects: Finding, place: str = "") -> None:
        """Add a sentence of a kind over one finding (F) or two (A, B), unless all that it says was told before."""
        fitting = [pair for pair in sentences_for(key) if _can_fill(pair[1], subjects, place)]
        if not fitting:
            return
        template_id, text = fitting[int(self.rng.random() * len(fitting))]
        by_letter = dict(zip("F" if len(subjects) == 1 else "AB", subjects, strict=True))
        states = _states(text, by_letter)
        if states <= self._told if states else text in self.texts:
            return
        self._told |= states | {(finding.id, "") for finding in subjects}

        def filled(match: re.Match[str]) -> str:
            return self._filled(by_letter[match[1]], match[2], by_letter)

        said = _SUBJECT.sub(filled, text.replace("{place}", place))
        self.texts.append(said[:1].upper() + said[1:])
        self.ids.append(template_id)

    def _filled(self, finding: Finding, fact: str, subjects: dict[str, Finding]) -> str:
        if fact in ("difference", "distance"):
            other = next(one for one in subjects.values() if one is not finding)
            return f"{{{finding.id}.{fact}_{other.id}}}"
        slot = f"{{{finding.id}.{fact}}}"
        if fact != "structure":
            return slot
        name = literal_name(finding) if self._literal else ""
        shows = self.masks and finding.status is Status.SEEN and finding.id not in self._shown
        self._shown |= {finding.id} if shows else set()
        return f"{name or slot}{MASK if shows else ''}"


def _states(text: str, subjects: Mapping[str, Finding]) -> set[tuple[str, str]]:
    """What a sentence says of its findings: the facts in it, or that they are there; empty where it names none."""
    slots = [(match[1], match[2]) for match in _SUBJECT.finditer(text)]
    others = "AB" if len(subjects) > 1 else ""
    facts = {(subjects[letter].id, fact) for letter, fact in slots if fact not in _NAMING}
    relational = {(one, f"{fact} {' '.join(subjects[letter].id for letter in others)}") for one, fact in facts}
    return (relational if others else facts) or {(subjects[letter].id, "") for letter, _ in slots}


def _can_fill(text: str, subjects: Sequence[Finding], place: str) -> bool:
    """Whether the records hold every slot of a sentence."""
    if "{place}" in text and not place:
        return False
    known = {
        letter: _facts_of(finding)
        for letter, finding in zip("F" if len(subjects) == 1 else "AB", subjects, strict=True)
    }
    return all(m[2] in known[m[1]] for m in _SUBJECT.finditer(text))


def _facts_of(finding: Finding) -> set[str]:
    site = finding.site
    known = {"structure", "id", "structures"} | {m.quantity for m in finding.measurements}
    known |= {m.quantity.rpartition("_")[0] for m in finding.measurements if re.search(r"_F\d+$", m.quantity)}
    facts = {
        "side": site.side, "organ": site.organ, "part": site.part, "segments": site.segments or None,
        "slices": site.first_slice, "why": finding.why or None, "confidence": finding.confidence,
        "cut_ends": finding.cut_at or None,
    }  # fmt: skip
    return known | {name for name, value in facts.items() if value is not None}
