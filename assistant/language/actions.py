"""What one clause asks to be done: a skill and its arguments other than structures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assistant.language.clauses import SLOT, Clause
from assistant.language.lesion_questions import asks_attenuation, asks_what_it_is, type_asked_of
from assistant.language.words import find_phrase, starts_with_phrase
from prompts import load_words

GLANCE = "glance"
"""A look at the whole CT: `detect` or `report` when nothing else is asked, politeness otherwise."""

_COUNTED = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: n for n, word in enumerate(_COUNTED, start=1)} | {"single": 1, "couple": 2, "pair": 2}
_LIMIT = re.compile(
    rf"\b({'|'.join(_NUMBERS)}|[1-9]\d?) (?!(?:cm|mm|ml|hu|millimet\w+|centimet\w+)\b)(?:(?!the\b)\w+ ){{0,3}}{SLOT}"
)
_POLITE = re.compile(
    r"^(?:(?:and|so|now|then|also|but|please|kindly|hi|hello|hey|ok|okay|well|just|can|could|would|will|you|i|we|us|me|for"
    r"|to|want|need|like|know|tell|say|show|whether|if) )+"
)
_WHICH_PART = re.compile(r"\b(?:which|what) (?:\S+ )?segments?\b")
_LARGER = re.compile(
    r"\b(?:larger|bigger|greater|longer|more|smaller|less|shorter) than (\d+) ?(mm|cm|millimet\w+|centimet\w+)"
)
_FINDING = re.compile(r"\bf(\d{1,3})\b")


@dataclass(frozen=True)
class Action:
    """A skill with its arguments; `needs_structures` says whether it is void without any."""

    skill: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    needs_structures: bool = True


def actions_of(clause: Clause) -> list[Action]:
    """The skills that a clause asks for, in order; empty when it asks for nothing by itself."""
    for read in (
        _correct,
        _boxes,
        _whole_ct,
        _classify,
        _report,
        _compare,
        _count,
        _measure,
        _locate,
        _detect,
        _describe,
        _presence,
    ):
        action = read(clause)
        if action is not None:
            return [_narrowed(action, clause), *_export(clause)]
    if (_segments(clause) or _shows(clause)) and (clause.targets or not _export(clause)):
        return [_narrowed(Action("segment"), clause), *_export(clause)]
    return _export(clause) or _help(clause)


def quantities_in(text: str) -> list[str]:
    """Quantities that a text asks for, in table order; 'size' is for `sized` to settle."""
    return [name for name, phrases in load_words("requests")["quantities"].items() if find_phrase(phrases, text)]


def sized(quantities: Sequence[str], *, lesion: bool) -> list[str]:
    """Quantities with 'size' and 'diameter' put as what is customary for a lesion (RECIST axes) or an organ."""
    named = [quantity for quantity in quantities if quantity != "size"]
    if not named:
        return ["long_axis", "short_axis", "volume"] if lesion else ["volume", "extent"]
    if lesion and "diameter" in named:
        named = [q for name in named for q in (("long_axis", "short_axis") if name == "diameter" else (name,))]
    return list(dict.fromkeys(named))


def _has_lesion(clause: Clause) -> bool:
    return any(mention.is_lesion for mention in clause.targets)


def _segments(clause: Clause) -> bool:
    return find_phrase(load_words("requests")["segment"]["strong"], _WHICH_PART.sub("", clause.text)) is not None


def _shows(clause: Clause) -> bool:
    segment = load_words("requests")["segment"]
    return find_phrase((*segment["nouns"], *segment["weak"]), clause.text) is not None


def _asks(clause: Clause) -> bool:
    """Whether it is put as a yes/no question, politeness aside."""
    words = (*load_words("requests")["answer"]["presence"], "is", "are", "does", "do", "has", "have", "was", "were")
    if starts_with_phrase(("i have", "we have", "i am", "i was", "we are", "i do"), clause.text):
        return False
    return starts_with_phrase(words, clause.text) or starts_with_phrase(words, _POLITE.sub("", clause.text))


def _narrowed(action: Action, clause: Clause) -> Action:
    """With how many are wanted, which of them, and an earlier finding named outright ('F2')."""
    arguments = dict(action.arguments)
    limit = _LIMIT.search(clause.text)
    if limit and _has_lesion(clause) and action.skill in ("detect", "segment", "measure", "locate"):
        arguments["limit"] = _NUMBERS.get(limit[1]) or int(limit[1])
    if _has_lesion(clause) and action.skill != "compare":
        for word, pick in (("largest", "largest"), ("biggest", "largest"), ("smallest", "smallest")):
            if find_phrase((word,), clause.text):
                arguments["select"] = pick
    bound = _LARGER.search(clause.text)
    if bound and _has_lesion(clause):
        length_mm = float(bound[1]) * (10.0 if bound[2].startswith("c") else 1.0)
        arguments["max_mm" if bound[0].startswith(("smaller", "less", "shorter")) else "min_mm"] = length_mm
    named = _FINDING.search(clause.text)
    if named:
        arguments["finding"] = f"F{named[1]}"
    return Action(action.skill, arguments, action.needs_structures)


def _correct(clause: Clause) -> Action | None:
    if _segments(clause) and clause.targets:
        return None
    for change, phrases in load_words("requests")["correct"].items():
        if find_phrase(phrases, clause.full):
            return Action("correct", {"change": change}, needs_structures=False)
    return None


def _boxes(clause: Clause) -> Action | None:
    if not find_phrase(("bounding box*", "box", "boxes", "frame", "frames", "rectangle*", "bbox"), clause.text):
        return None
    if clause.targets and not _has_lesion(clause):
        return Action("locate")
    return Action("detect") if clause.targets else None


def _whole_ct(clause: Clause) -> Action | None:
    words = load_words("requests")
    if find_phrase(words["detect"]["look"], clause.full) and not _has_lesion(clause):
        return Action("detect", needs_structures=False)
    if clause.targets:
        return None
    for skill in ("detect", "report"):
        if find_phrase(words[skill]["glance"], clause.full):
            return Action(GLANCE, {"skill": skill}, needs_structures=False)
    return Action("help", needs_structures=False) if find_phrase(words["help"]["phrases"], clause.full) else None


def _classify(clause: Clause) -> Action | None:
    if _segments(clause) and clause.targets:
        return None
    if asks_what_it_is(clause) or type_asked_of(clause):
        return Action("classify")
    found = find_phrase(load_words("requests")["classify"]["phrases"], clause.full)
    return Action("classify") if found and (not clause.targets or _has_lesion(clause)) else None


def _report(clause: Clause) -> Action | None:
    words = load_words("requests")["report"]
    found = find_phrase(words["phrases"], clause.text)
    if not found or (_segments(clause) and clause.targets):
        return None
    if found.group() in ("report", "reports") and (
        quantities_in(clause.text) or re.search(rf"report (?:\w+ )?{SLOT}", clause.text)
    ):
        return None
    if quantities_in(clause.text) and clause.targets:
        return None
    template = next((name for name, phrases in words["templates"].items() if find_phrase(phrases, clause.text)), None)
    return Action("report", {"template": template} if template else {}, needs_structures=False)


def _compare(clause: Clause) -> Action | None:
    words = load_words("requests")["compare"]
    implied = next((name for word, name in words["implied"].items() if find_phrase((word,), clause.full)), None)
    if implied:
        return Action("compare", {"with_": "normal", "implied": implied.split()}, needs_structures=False)
    compares = find_phrase(words["phrases"], clause.text)
    asks = _asks(clause) or _shows_size(clause) or compares
    if _segments(clause) or (find_phrase(("normal",), clause.text) and not asks):
        return None
    if _LARGER.search(clause.text) and not _asks(clause):
        return None
    if find_phrase(words["prior"], clause.text) and not find_phrase(
        ("patient with prior", "prior surgery"), clause.text
    ):
        return Action("compare", {"with_": "prior"}, needs_structures=bool(clause.targets))
    if find_phrase(words["normal"], clause.text) and asks:
        return Action("compare", {"with_": "normal"})
    which = starts_with_phrase(("what is the", "which", "what"), clause.text) and not _has_lesion(clause)
    extreme = which and find_phrase(("largest", "biggest", "smallest", "densest", "longest"), clause.text)
    dense = find_phrase(("denser", "densest", "brighter", "darker", "higher hu", "lower hu"), clause.text)
    named = [quantity for quantity in quantities_in(clause.text) if quantity != "size"]
    quantities = {"quantities": ["hu"] if dense else named} if dense or named else {}
    return Action("compare", {"with_": "each_other", **quantities}) if extreme or compares else None


def _shows_size(clause: Clause) -> bool:
    return (
        bool(quantities_in(clause.text))
        or find_phrase(("check", "how", "assess", "evaluate", "tell"), clause.text) is not None
    )


def _count(clause: Clause) -> Action | None:
    words = load_words("requests")
    if not find_phrase(words["count"]["phrases"], clause.text) or find_phrase(
        ("slice*", "voxels", "pixels", "degrees"), clause.text
    ):
        return None
    return None if find_phrase(words["measure"]["asking"], clause.text) or _segments(clause) else Action("count")


def _measure(clause: Clause) -> Action | None:
    measure = load_words("requests")["measure"]
    quantities = quantities_in(clause.text) or (["hu"] if asks_attenuation(clause) else [])
    asked = find_phrase((*measure["verbs"], *measure["asking"]), clause.text)
    if (not quantities and not asked) or find_phrase(("how many slices", "which slice*", "what slice*"), clause.text):
        return None
    if (
        _segments(clause)
        and not asked
        and not re.search(
            r"extract\w* (?:the |its |their )?(?:\w+ )?(?:volum|size|dimension|densit|hu\b|diamet|measure)", clause.text
        )
    ):
        return None
    if (
        not clause.targets
        and not asked
        and find_phrase(("slice thickness", "image quality", "voxel*", "pixel*"), clause.text)
    ):
        return None
    return Action("measure", {"quantities": quantities or ["size"]})


def _locate(clause: Clause) -> Action | None:
    found = find_phrase(load_words("requests")["locate"]["phrases"], clause.text)
    if (
        not found
        or _segments(clause)
        or (not clause.targets and find_phrase(("how many slices", "what region"), clause.text))
    ):
        return None
    return None if found.group() == "find" and _has_lesion(clause) else Action("locate")


def _detect(clause: Clause) -> Action | None:
    words = load_words("requests")["detect"]
    if _has_lesion(clause) and not _segments(clause) and find_phrase(words["always"], clause.text):
        return Action("detect", needs_structures=False)
    unsure = ("suspicious", "suspect*", "abnormal*", "unusual")
    asks = not clause.targets or find_phrase(("anything", "something", "look for", "search*", "check*"), clause.text)
    if not _segments(clause) and asks and find_phrase(unsure, clause.text):
        return Action("detect", needs_structures=False)
    return None


def _describe(clause: Clause) -> Action | None:
    words = load_words("requests")["describe"]
    if _segments(clause) and clause.targets:
        return None
    if clause.targets:
        if _asks(clause) and find_phrase(words["structure_free"], clause.text):
            return Action("describe")
        return Action("report") if find_phrase(("describe", "characteri*"), clause.text) else None
    masks = _segments(clause) or find_phrase(("segmentation*", "mask*"), clause.text)
    return (
        Action("describe", needs_structures=False) if find_phrase(words["phrases"], clause.full) and not masks else None
    )


def _presence(clause: Clause) -> Action | None:
    if not clause.targets or _segments(clause) or not _asks(clause):
        return None
    if _has_lesion(clause):
        return Action("detect")
    words = ("is there", "are there", "do you see", *load_words("requests")["answer"]["presence_words"])
    seen = find_phrase(words, clause.text)
    return Action("answer", {"asked": "presence" if seen else "open"})


def _export(clause: Clause) -> list[Action]:
    words = load_words("requests")["export"]
    if not find_phrase(words["phrases"], clause.text) or find_phrase(("save for",), clause.text):
        return []
    chosen = [name for name, phrases in words["formats"].items() if find_phrase(phrases, clause.text)]
    return [Action("export", {"formats": chosen[:1]} if chosen else {}, needs_structures=False)]


def _help(clause: Clause) -> list[Action]:
    words = load_words("requests")["help"]
    return (
        [Action("help", needs_structures=False)]
        if not clause.targets and find_phrase(words["phrases"], clause.full)
        else []
    )
