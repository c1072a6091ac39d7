"""Filling the slots of a sentence from records. The language model and the templates never write a number."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from assistant.grounding.lexicon import spoken, spoken_plural
from assistant.grounding.numbers import format_measurement
from assistant.records import Finding, Measurement
from prompts.replies import CLOSED_WORDS, LESION_PARTS, REPLIES, STRUCTURE_LISTS
from vision.structures import STRUCTURES

TOUCH = "touch_"
"""Before the name of a vessel: the quantity of a lesion's contact with it."""
_SLOT = re.compile(r"\{([^{}]*)\}")
_SPOKEN = frozenset(structure.spoken for structure in STRUCTURES)
_NO_MEASUREMENTS: Mapping[str, Measurement] = {}
_NO_WORDS: Mapping[str, str] = {}


class MissingSlot(LookupError):
    """A sentence asks for what no record holds: our own mistake, never shown as an empty place.

    `slots` names every one that could not be filled.
    """

    def __init__(self, slots: Iterable[str]) -> None:
        self.slots = tuple(slots)
        super().__init__(f"No record fills {', '.join(f'{{{slot}}}' for slot in self.slots)}.")


class UnknownWord(ValueError):
    """A word slot was given a word outside its closed vocabulary."""


def say(
    template: str,
    subjects: Mapping[str, Finding],
    words: Mapping[str, str] = _NO_WORDS,
    *,
    extra: Mapping[str, Measurement] = _NO_MEASUREMENTS,
) -> str:
    """The reply of that name in `prompts.replies`, filled.

    `subjects` maps slot prefixes ('F', or 'A' and 'B') to findings, `words` maps word slots to words of their closed
    vocabulary, `extra` maps whole slots ('CT.extent') to free measurements. Raises KeyError for an unknown reply,
    UnknownWord and MissingSlot.
    """
    for slot, word in words.items():
        _check_word(slot, word)
    return _fill(REPLIES[template], subjects, words, extra)


def say_lesion(parts: Sequence[str], lesion: Finding) -> str:
    """One sentence on a lesion, of the pieces of `LESION_PARTS` with these names. Raises KeyError and MissingSlot."""
    return _fill(f"{', '.join(LESION_PARTS[part] for part in parts)}.", {"F": lesion}, _NO_WORDS, _NO_MEASUREMENTS)


def render(template: str, findings: Mapping[str, Finding], extra: Mapping[str, Measurement] = _NO_MEASUREMENTS) -> str:
    """Fill '{F1.volume}'-like slots: finding id (or prefix), dot, and a fact or the quantity of a measurement.

    Facts: id, structure, structures (plural), side, organ, part, segments, slices, confidence, why, attenuation,
    vessels, cut_at, cut_ends (with 'end' or 'edge'), <quantity>_slice; all else is a quantity. 'distance' finds
    'distance_F2' when F2 is the other subject. Slices show the stored index, counted from 0, the same number as in
    answer.json. `extra` maps whole slots to free measurements. Raises MissingSlot naming every slot without a record.
    """
    return _fill(template, findings, _NO_WORDS, extra)


def fillings(findings: Sequence[Finding], extra: Sequence[Measurement] = ()) -> dict[str, str]:
    """Every slot that the records fill, as 'F1.volume', with its filling: what `render` would put there.

    Findings in their order, the facts of each before its measurements; then the free measurements by their ids.
    """
    known: dict[str, str] = {}
    for finding in findings:
        alone = {finding.id: finding}
        quantities = [measurement.quantity for measurement in finding.measurements]
        for fact in (*_FACTS, *quantities, *(f"{quantity}_slice" for quantity in quantities)):
            slot = f"{finding.id}.{fact}"
            known[slot] = _text_of(slot, alone, _NO_WORDS, _NO_MEASUREMENTS)
    known.update((measurement.id, format_measurement(measurement)) for measurement in extra)
    return {slot: text for slot, text in known.items() if text}


def listed(items: Iterable[str]) -> str:
    """'liver', 'liver and spleen', 'liver, spleen and pancreas'."""
    names = list(items)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def structure_list(structures: Iterable[str]) -> str:
    """Spoken names of structures of the table, listed: the filling of a structure list slot."""
    return listed(spoken(structure) for structure in structures)


def _check_word(slot: str, word: str) -> None:
    if slot in STRUCTURE_LISTS:
        unknown = [name for name in _listed_names(word) if name not in _SPOKEN]
        if unknown:
            raise UnknownWord(f"{{{slot}}} takes spoken structure names, not {unknown[0][:60]!r}.")
    elif word not in CLOSED_WORDS.get(slot, ()):
        known = ", ".join(CLOSED_WORDS.get(slot, ())) or "nothing: it is no word slot"
        raise UnknownWord(f"{{{slot}}} takes {known}; not {word[:60]!r}.")


def _listed_names(word: str) -> list[str]:
    *first, last = word.split(", ")
    return [*first, last] if last in _SPOKEN else [*first, *last.split(" and ", 1)] if first else _two(last)


def _two(word: str) -> list[str]:
    parts = word.split(" and ")
    for cut in range(1, len(parts)):
        left, right = " and ".join(parts[:cut]), " and ".join(parts[cut:])
        if left in _SPOKEN and right in _SPOKEN:
            return [left, right]
    return [word]


def _fill(
    template: str, findings: Mapping[str, Finding], words: Mapping[str, str], extra: Mapping[str, Measurement]
) -> str:
    missing: list[str] = []

    def fill(match: re.Match[str]) -> str:
        text = _text_of(match[1], findings, words, extra)
        if not text:
            missing.append(match[1])
        return text

    filled = _SLOT.sub(fill, template)
    if missing:
        raise MissingSlot(dict.fromkeys(missing))
    return filled[:1].upper() + filled[1:]


def _text_of(
    slot: str, findings: Mapping[str, Finding], words: Mapping[str, str], extra: Mapping[str, Measurement]
) -> str:
    """The filling of one slot; empty when no record holds it."""
    if slot in extra:
        return format_measurement(extra[slot])
    if slot in words:
        return words[slot]
    prefix, _, fact = slot.partition(".")
    if prefix not in findings:
        return ""
    finding = findings[prefix]
    if fact in _FACTS:
        return _FACTS[fact](finding)
    measurement = _measurement(finding, fact, findings)
    if measurement is not None:
        return format_measurement(measurement)
    on_slice = finding.measurement(fact.removesuffix("_slice")) if fact.endswith("_slice") else None
    return f"slice {on_slice.slice_index}" if on_slice is not None and on_slice.slice_index is not None else ""


def _measurement(finding: Finding, quantity: str, findings: Mapping[str, Finding]) -> Measurement | None:
    """The finding's measurement; of a quantity between two ('distance_F2') the one with another subject comes first."""
    between = (finding.measurement(f"{quantity}_{other.id}") for other in findings.values() if other is not finding)
    found = next((measurement for measurement in between if measurement is not None), None)
    return found if found is not None else finding.measurement(quantity)


def _segments(finding: Finding) -> str:
    numbers = [str(number) for number in finding.site.segments]
    return f"{'segment' if len(numbers) == 1 else 'segments'} {listed(numbers)}" if numbers else ""


def _slices(finding: Finding) -> str:
    first, last = finding.site.first_slice, finding.site.last_slice
    if first is None or last is None:
        return ""
    return f"slice {first}" if first == last else f"slices {first} to {last}"


def _vessels(finding: Finding) -> str:
    """'35 degrees of the aorta and 0 degrees of the inferior vena cava'."""
    touched = [(m.quantity.removeprefix(TOUCH), m) for m in finding.measurements if m.quantity.startswith(TOUCH)]
    return listed(f"{format_measurement(m)} of the {spoken(vessel)}" for vessel, m in touched)


def _cut_ends(finding: Finding) -> str:
    word = "end" if set(finding.cut_at) <= {"superior", "inferior"} else "edge"
    return f"{listed(finding.cut_at)} {word}{'s' if len(finding.cut_at) > 1 else ''}" if finding.cut_at else ""


_FACTS: dict[str, Callable[[Finding], str]] = {
    "id": lambda finding: finding.id,
    "structure": lambda finding: spoken(finding.structure),
    "structures": lambda finding: spoken_plural(finding.structure),
    "side": lambda finding: finding.site.side or "",
    "organ": lambda finding: spoken(finding.site.organ) if finding.site.organ else "",
    "part": lambda finding: finding.site.part or "",
    "segments": _segments,
    "slices": _slices,
    "confidence": lambda finding: "" if finding.confidence is None else f"{finding.confidence:.2f}",
    "why": lambda finding: finding.why.strip().rstrip("."),
    "attenuation": lambda finding: f"{finding.attenuation.word}attenuating" if finding.attenuation else "",
    "vessels": _vessels,
    "cut_at": lambda finding: listed(finding.cut_at),
    "cut_ends": _cut_ends,
}
