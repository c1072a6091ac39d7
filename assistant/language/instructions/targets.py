"""What a template is filled with: the words of its slots, and the structures and arguments that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType
from typing import Any

from assistant.language.instructions import lesions, organs
from assistant.language.instructions.agreement import verbs_for, words_for
from assistant.language.instructions.grammar import forms, listed, phrases, pick, words_of
from assistant.language.instructions.naming import Spoken, all_hints, called, names_of, pair_words
from assistant.language.instructions.noise import PROTECT, RELEASE
from prompts import load_words
from vision.structures import GROUP_WORDS, GROUPS, by_name

Call = Callable[[Random, frozenset[str]], "Filling"]
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_NOT_SIDED = ("liver", "spleen", "pancreas", "stomach", "gall_bladder", "bladder", "prostate", "rectum", "duodenum")
_QUANTITY_WORDS = {
    "volume": "volume_word", "diameter": "diameter_word", "hu": "hu_word", "extent": "extent_word",
    "long_axis": "long_word", "short_axis": "short_word", "size": "size_word",
}  # fmt: skip


@dataclass(frozen=True)
class Filling:
    """Words by slot, what they mean, and whether a history may not name organs beside them."""

    bound: Mapping[str, str] = field(default_factory=dict)
    structures: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    lesion: bool = False
    neutral: bool = False
    more: tuple[str, ...] = ()
    """Structures of a second thing, which follow those of the first."""
    plural: bool = False


def fill(rng: Random, target: str, slots: frozenset[str]) -> Filling:
    """A drawn filling for the slots of a template. Raises KeyError for an unknown kind of target."""
    return _TARGETS[target](rng, slots)


def _share(slots: frozenset[str]) -> float:
    """How often a thing may be described: not where its bare name stands before a noun."""
    return 0.0 if slots & {"x", "x's", "y", "c", "p"} else 0.2


def _of(spoken: Spoken, bound: Mapping[str, str], arguments: Mapping[str, Any] = _NOTHING) -> Filling:
    return Filling(
        bound, spoken.structures, spoken.within, arguments,
        lesion=spoken.lesion, neutral=spoken.generic, plural=spoken.plural,
    )  # fmt: skip


def _organ(rng: Random, slots: frozenset[str]) -> Filling:
    spoken = organs.any_organ(rng, described=_share(slots))
    return _of(spoken, words_for(rng, spoken))


def _single(rng: Random, slots: frozenset[str]) -> Filling:
    spoken = organs.one_organ(rng, described=_share(slots))
    other = organs.beside(rng, spoken.structures) if "N" in slots else None
    return _of(spoken, words_for(rng, spoken, other=other))


def _short(rng: Random, slots: frozenset[str]) -> Filling:
    spoken = organs.short_organ(rng)
    return _of(spoken, words_for(rng, spoken))


def _lesion(rng: Random, slots: frozenset[str]) -> Filling:
    spoken = lesions.any_lesion(rng)
    return _of(spoken, words_for(rng, spoken))


def _many(rng: Random, slots: frozenset[str]) -> Filling:
    spoken = lesions.many_lesions(rng)
    return _of(spoken, words_for(rng, spoken))


def _any(rng: Random, slots: frozenset[str]) -> Filling:
    return _organ(rng, slots) if rng.random() < 0.72 else _lesion(rng, slots)


def _chosen(rng: Random, slots: frozenset[str]) -> Filling:
    return _of_chosen(lesions.chosen_lesions(rng), "C")


def _sized(rng: Random, slots: frozenset[str]) -> Filling:
    return _of_chosen(lesions.sized_lesions(rng), "c")


def _of_chosen(chosen: lesions.Chosen, slot: str) -> Filling:
    spoken = chosen.spoken
    bound = {**verbs_for(plural=spoken.plural), slot: spoken.bare}
    return _of(spoken, bound, chosen.arguments)


def _two(rng: Random, slots: frozenset[str]) -> Filling:
    first = lesions.any_lesion(rng) if rng.random() < 0.4 else organs.one_organ(rng, described=0.0)
    held = {organ for name in first.structures for organ in by_name(name).lesion_of} | set(first.structures)
    second = organs.beside(rng, tuple(held)) if rng.random() < 0.7 else organs.one_organ(rng, described=0.0)
    if organs.overlap(second.structures, tuple(held)):
        second = organs.beside(rng, tuple(held))
    return Filling(
        words_for(rng, first, other=second), first.structures, first.within, lesion=first.lesion,
        neutral=first.generic, more=second.structures, plural=first.plural,
    )  # fmt: skip


def _two_organs(rng: Random, slots: frozenset[str]) -> Filling:
    first = organs.short_organ(rng)
    second = organs.beside(rng, first.structures)
    while {by_name(name).pair for name in first.structures} & {by_name(name).pair for name in second.structures} - {
        None
    }:
        second = organs.beside(rng, first.structures)
    return Filling(words_for(rng, first, other=second), first.structures, more=second.structures, plural=first.plural)


def _pair(rng: Random, slots: frozenset[str]) -> Filling:
    group = rng.choice(("kidneys", "kidneys", "lungs", "adrenal_glands", "femurs"))
    word = rng.choice(pair_words(group)[:6])
    uncounted = word.endswith(("parenchyma", "tissue", "femur", "nephros", "pulmo"))
    several = GROUP_WORDS[group][0] if uncounted else f"{word}s"
    first, second = rng.choice((("left", "right"), ("right", "left")))
    both = rng.choice(
        (f"the {several}", f"both {several}", f"the {first} and the {second} {word}", f"{first} and {second} {word}")
    )
    return Filling({"p": word, "ps": several, "bothsides": both}, GROUPS[group])


def _implied(rng: Random, slots: frozenset[str]) -> Filling:
    implied = load_words("requests")["compare"]["implied"]
    word = rng.choice(tuple(implied))
    names = tuple(name for part in implied[word].split() for name in GROUPS.get(part, (part,)))
    return Filling({"W": word}, names)


def _finding(rng: Random, slots: frozenset[str]) -> Filling:
    number = rng.choice((1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 12))
    return Filling({"F": f"{'f' if rng.random() < 0.2 else 'F'}{number}"}, arguments={"finding": f"F{number}"})


def _finding_like(rng: Random, slots: frozenset[str]) -> Filling:
    spoken = called(rng, rng.choice(organs.FINDING_LIKE), described=0.0, adjective=0.0)
    return _of(spoken, words_for(rng, spoken))


def _countable(rng: Random, slots: frozenset[str]) -> Filling:
    spoken = called(rng, rng.choice(organs.COUNTABLE), described=0.0, adjective=0.0)
    while not spoken.plural or spoken.bare.startswith(("both", "all", "two", "pair", "each")):
        spoken = called(rng, rng.choice(organs.COUNTABLE), described=0.0, adjective=0.0)
    return _of(spoken, words_for(rng, spoken))


def _fatty(rng: Random, slots: frozenset[str]) -> Filling:
    spoken = called(rng, rng.choice(("liver", "liver", "liver", "pancreas")), described=0.0)
    return Filling(words_for(rng, spoken), spoken.structures)


def _group_many(rng: Random, slots: frozenset[str]) -> Filling:
    spoken = organs.organ_list(rng)
    while len(spoken.structures) < 3:
        spoken = (
            organs.organ_list(rng)
            if rng.random() < 0.6
            else called(rng, rng.choice(("organs", "solid_organs")), described=0)
        )
    return Filling(words_for(rng, spoken), spoken.structures, plural=True)


def _all_lesions(rng: Random, slots: frozenset[str]) -> Filling:
    return Filling({}, GROUPS["lesions"], lesion=True, neutral=True)


def _organ_lesions(rng: Random, slots: frozenset[str]) -> Filling:
    spoken, rows, within = lesions.organ_with_lesions(rng)
    return Filling(words_for(rng, spoken), rows, within, lesion=True)


def _hint(rng: Random, slots: frozenset[str]) -> Filling:
    name = rng.choice(all_hints())
    return Filling({"hint": pick(rng, names_of(name).hints)}, GROUPS.get(name, (name,)), neutral=True)


def _clash(rng: Random, slots: frozenset[str]) -> Filling:
    first, second = rng.choice((("left", "right"), ("right", "left")))
    if rng.random() < 0.5:
        name = rng.choice(_NOT_SIDED)
        words = pick(rng, phrases("clash_one"), {"s": first, "o": called(rng, name, described=0.0, adjective=0.0).bare})
        return Filling({"K": f"the {words}"}, arguments={"near": [name]})
    group = rng.choice(organs.PAIRS)
    words = pick(rng, phrases("clash_side"), {"s": first, "q": second, "p": rng.choice(pair_words(group))})
    return Filling({"K": f"the {words}"}, arguments={"near": list(GROUPS[group])})


def _unknown(rng: Random, slots: frozenset[str]) -> Filling:
    noun = pick(rng, phrases("unknown_noun"))
    return Filling({"U": f"{PROTECT}{noun}{RELEASE}"}, arguments={"words": noun})


def _unsearched(rng: Random, slots: frozenset[str]) -> Filling:
    name, _, word = rng.choice(
        [part.strip().partition("=") for part in words_of("lesions")["unsearched"]["organs"].split(" ; ")]
    )
    return Filling({"L": pick(rng, phrases("tumor_of"), {"o": word})}, (name,))


def _half_known(rng: Random, slots: frozenset[str]) -> Filling:
    known, unknown = _single(rng, slots | {"x"}), _unknown(rng, slots)
    return Filling({**known.bound, **unknown.bound}, known.structures, arguments=unknown.arguments)


def _none(rng: Random, slots: frozenset[str]) -> Filling:
    return Filling()


def format_words(rng: Random) -> tuple[str, str]:
    """A file format of an export, and how it is written."""
    table = words_of("export")["formats"]
    name = rng.choice(("nifti", "nifti", "nifti", "seg", "seg", *table))
    return name, pick(rng, listed(table[name]))


def quantity_words(rng: Random, *, lesion: bool) -> tuple[list[str], str]:
    """Two or three quantities, and how they are asked for together."""
    pool = (
        ("volume", "hu", "long_axis", "short_axis", "volume", "size")
        if lesion
        else ("volume", "hu", "extent", "diameter", "volume")
    )
    chosen = list(dict.fromkeys(rng.sample(pool, rng.choice((2, 2, 3)))))
    words = [pick(rng, forms("phrases", _QUANTITY_WORDS[name])) for name in chosen]
    return chosen, organs.joined(rng, words) if len(words) > 1 else words[0]


_TARGETS: Mapping[str, Call] = MappingProxyType(
    {
        "none": _none, "any": _any, "organ": _organ, "single": _single, "organ_short": _short, "lesion": _lesion,
        "lesion_plural": _many, "lesion_chosen": _chosen, "lesion_sized": _sized, "two": _two,
        "two_organs": _two_organs, "pair": _pair, "implied": _implied, "finding": _finding, "hint": _hint,
        "finding_like": _finding_like, "countable": _countable, "fatty": _fatty, "group_many": _group_many,
        "all_lesions": _all_lesions, "organ_lesions": _organ_lesions, "clash": _clash,
        "unknown": _unknown, "unsearched": _unsearched, "half_known": _half_known,
    }
)  # fmt: skip
