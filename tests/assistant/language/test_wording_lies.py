"""Truth and lies in the words of a language model: sentences with slots, thousands of them, all through `speak`."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from assistant.grounding import fillings
from tests.assistant.grounding_lies import LIES, Lie
from tests.assistant.grounding_parts import TEMPLATES
from tests.assistant.grounding_scenes import Told, true_sentences
from tests.assistant.language.speaking import SCRIPTED, spoken_of

_SLOT = re.compile(r"\{(\w+)\.(\w+)\}")
_DIGIT = re.compile(r"\d")
_PLACES = frozenset({"slices", "long_axis_slice", "segments"})
_WORDS = frozenset({"structure", "structures", "side", "organ", "part", "cut_ends", "why", "attenuation"})
_BETWEEN = ("distance", "contact", "difference", "ratio")
SIZES = [pytest.param(200, id="some"), pytest.param(2000, id="many", marks=pytest.mark.slow)]


def with_slots(told: Told) -> Told:
    """The sentence as a language model would write it: names as words, every number as a slot."""
    names = dict(zip(("A", "B") if "{A." in TEMPLATES[told.template] else ("F",), told.about, strict=True))
    known = fillings(told.scene)

    def fill(match: re.Match[str]) -> str:
        finding = names[match[1]]
        if match[2] in _WORDS and not _DIGIT.search(known[f"{finding.id}.{match[2]}"]):
            return known[f"{finding.id}.{match[2]}"]
        between = f"_{names['B'].id}" if match[2] in _BETWEEN else ""
        return f"{{{finding.id}.{match[2]}{between}}}"

    text = _SLOT.sub(fill, TEMPLATES[told.template].replace(" (slices are counted from 0)", ""))
    place = re.search(r"\b(above|below|within) the normal", told.text)
    text = text.replace("{place}", place[1] if place else "")
    return replace(told, text=text[:1].upper() + text[1:])


def slot_of_another(told: Told, random_source: random.Random) -> str | None:
    """The same quantity of another finding."""
    known = fillings(told.scene)
    return _other_slot(
        told, random_source, lambda slot, other: slot.partition(".")[2] == other.partition(".")[2], known
    )


def slot_of_another_quantity(told: Told, random_source: random.Random) -> str | None:
    """Another quantity of the same finding."""
    known = {slot: text for slot, text in fillings(told.scene).items() if _DIGIT.search(text)}
    return _other_slot(
        told, random_source, lambda slot, other: slot.partition(".")[0] == other.partition(".")[0], known
    )


def slot_of_nothing(told: Told, random_source: random.Random) -> str | None:
    """A finding or a quantity that is not on record."""
    slots = list(_SLOT.finditer(told.text))
    if not slots:
        return None
    match = random_source.choice(slots)
    lie = random_source.choice((f"{{F99.{match[2]}}}", f"{{{match[1]}.weight}}", "{CT.extent}", "{__class__}", "{}"))
    return told.text[: match.start()] + lie + told.text[match.end() :]


def true_number_with_a_false_reason(told: Told, random_source: random.Random) -> str | None:
    """A true reason put to a finding that was seen, or a false standing put beside it."""
    reasons = [f"{finding.id}.why" for finding in told.scene if finding.why and finding.status.value != "seen"]
    if not reasons:
        return None
    spoken = fillings(told.scene)[f"{told.about[0].id}.structure"]
    seen = told.about[0].status.value == "seen"
    said = "is not assessable" if seen else "was segmented"
    return f"The {spoken} {said}: {{{random_source.choice(reasons)}}}."


SLOT_LIES: tuple[Lie, ...] = (
    slot_of_another,
    slot_of_another_quantity,
    slot_of_nothing,
    true_number_with_a_false_reason,
)


def _other_slot(
    told: Told, random_source: random.Random, fits: Callable[[str, str], bool], known: dict[str, str]
) -> str | None:
    slots = [match for match in _SLOT.finditer(told.text) if match[2] not in ("id", "count", "why")]
    if not slots:
        return None
    match = random_source.choice(slots)
    slot = match.group()[1:-1]
    own = fillings(told.scene)[slot]
    others = [other for other, text in known.items() if fits(slot, other) and text != own and not other.endswith(".id")]
    if match[2] in _PLACES:
        # Slices that a finding lies in, given for others of its places, are no lie.
        others = [other for other in others if other.partition(".")[2] not in _PLACES]
    if not others:
        return None
    return f"{told.text[: match.start()]}{{{random_source.choice(others)}}}{told.text[match.end() :]}"


@pytest.mark.parametrize("number", SIZES)
def test_no_true_sentence_with_slots_is_dropped(number: int) -> None:
    wrong = []
    for told in true_sentences(number, seed=21):
        if told.template == "hu_percentiles":  # "95th": such words are the skills'
            continue
        spoken = spoken_of([with_slots(told).text], [told.text], told.scene)
        if spoken.dropped or len(spoken.sentences) != 1 or spoken.speaker != SCRIPTED:
            wrong.append((told.text, spoken))
    assert wrong == []


@pytest.mark.parametrize("number", SIZES)
def test_nearly_every_lie_with_slots_is_dropped_and_the_truth_is_said(number: int) -> None:
    random_source = random.Random(22)
    made, missed, lost = Counter[str](), Counter[str](), list[str]()
    for told in true_sentences(number, seed=23):
        for lie in (*LIES, *SLOT_LIES):
            text = lie(with_slots(told), random_source)
            if text is None or text == with_slots(told).text:
                continue
            spoken = spoken_of([text], [told.text], told.scene)
            made[lie.__name__] += 1
            missed[lie.__name__] += not spoken.dropped
            if not spoken.sentences:
                lost.append(text)
        if made.total() >= number:
            break
    assert made.total() >= number
    assert missed.total() <= 0.005 * made.total(), missed
    assert lost == []
