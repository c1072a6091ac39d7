"""Sentences that are renderings of a record as a whole, told word for word or not at all: what a lesion may be, and
what a search covered. They name what no other sentence may."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from assistant.grounding.lexicon import is_lesion, spoken
from assistant.grounding.numbers import format_measurement
from assistant.grounding.slots import listed, render
from assistant.records import Classification, Finding, Possibility, Status
from prompts import load_words

RELIABLE_FROM = "reliable_from"
"""The quantity of a lesion's finding: the smallest of its kind, in mm, that the model finds reliably."""


def say_types(finding: Finding) -> tuple[str, ...]:
    """What a lesion may be and why it stays open, in two sentences; none before it was classified."""
    found = finding.classification
    if found is None:
        return ()
    words = load_words("lesion_types")
    fitting = [each for each in found.possibilities if each.points >= 0]
    rest = [each for each in found.possibilities if each.points < 0]
    if not any(each.points > 0 for each in found.possibilities):
        return (render(words["sentences"]["unknown"], {"F": finding}),)
    sentence = words["sentences"]["fits_less" if rest else "fits"]
    types = ", ".join(_type(each, each.supports, finding) for each in fitting)
    less = ", ".join(_type(each, each.against, finding) for each in rest)
    first = render(sentence.replace("{types}", types).replace("{less}", less), {"F": finding})
    return first, _open(found, words["open"], words["phases"])


def say_scope(findings: Sequence[Finding]) -> str:
    """What the searches for lesions among some findings covered, how small, and what no statement can be made on.

    Empty where there is nothing to add to what was found: no size on record, and nothing that could not be assessed.
    """
    kinds: dict[str, Finding] = {}
    for finding in findings:
        if is_lesion(finding.structure):
            kinds.setdefault(finding.structure, finding)
    searched = [each for each in kinds.values() if each.status is not Status.NOT_ASSESSABLE]
    rest = [each for each in kinds.values() if each.status is Status.NOT_ASSESSABLE]
    sized = any(each.measurement(RELIABLE_FROM) for each in searched)
    if not searched or not (sized or rest):
        return ""
    parts = [f"Searched for: {listed(_searched(each) for each in searched)}"]
    reasons = dict.fromkeys(each.why.strip().rstrip(".") for each in rest)
    for why in reasons:
        names = listed(spoken(each.structure) for each in rest if each.why.strip().rstrip(".") == why)
        parts.append(f"not assessable: {names} ({why})")
    return f"{'; '.join(parts)}."


def told_records(sentence: str, findings: Sequence[Finding]) -> tuple[str, ...]:
    """What a sentence tells of the records as a whole, word for word; nothing for any other sentence."""
    said = [f"{each.id} types" for each in findings if sentence in say_types(each)]
    return (*said, *(["search"] if sentence == say_scope(findings) else []))


def _type(possibility: Possibility, signs: Iterable[str], finding: Finding) -> str:
    """'ductal adenocarcinoma (darker than its organ: 61 HU against 98 HU)'."""
    words = load_words("lesion_types")
    said = ", ".join(dict.fromkeys(words["signs"][sign] for sign in signs))
    name = words["types"][possibility.type]
    return f"{name} ({said})" if said else str(name)


def _open(found: Classification, words: Mapping[str, str], phases: Mapping[str, str]) -> str:
    phase = f"{phases[found.phase]}, estimated" if found.phase_estimated else phases[found.phase]
    return words[found.open].replace("{phase}", phase)


def _searched(finding: Finding) -> str:
    """'liver lesion (reliably from 10 mm)'."""
    least = finding.measurement(RELIABLE_FROM)
    size = "" if least is None else f" (reliably from {format_measurement(least)})"
    return f"{spoken(finding.structure)}{size}"
