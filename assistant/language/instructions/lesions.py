"""Which lesions a request names, in which organ, part or side, and which of them by size or number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from random import Random
from typing import Any

from assistant.language.instructions.grammar import Pattern, forms, listed, parse, pick, words_of
from assistant.language.instructions.naming import Spoken, called, is_plural, sided
from assistant.language.instructions.organs import segment_of, segments_together
from vision.structures import GROUPS, STRUCTURES, by_name

KNOWN = tuple(row.name for row in STRUCTURES if row.kind == "lesion")
RARE = tuple(row.name for row in STRUCTURES if row.lesion_of and row.kind == "extra")
OFTEN_RARE = ("lung_lesion",) * 8 + ("bone_lesion",) * 8
_COUNTS = ("two", "three", "four", "five", "2", "3", "4", "5", "six", "10")
_SEARCHED = (
    *("liver", "pancreas", "colon", "kidneys", "spleen", "stomach", "lungs", "bladder", "prostate", "adrenal_glands"),
)
_NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}


@dataclass(frozen=True)
class Chosen:
    """Some lesions by size or number: the words, and the arguments beside structures and within."""

    spoken: Spoken
    arguments: Mapping[str, Any] = field(default_factory=dict)


@cache
def _row(name: str) -> dict[str, tuple[Pattern, ...]]:
    row = words_of("lesions")["rows"][name]
    return {
        "organ": (parse(row["organ"]),),
        "adj": (parse(row["adj"]),),
        "special": listed(row.get("special", "")),
        "table": tuple(parse(word) for word in (by_name(name).spoken, *by_name(name).synonyms)),
        "only": (("1",),) if row.get("only") else (),
    }


def _noun(rng: Random, name: str, *, plural: bool) -> str:
    kind = "cyst_" if name.endswith("_cyst") else ""
    return pick(rng, forms("lesions", f"{kind}plurals" if plural else f"{kind}nouns"))


def _filled(rng: Random, form: str, name: str, *, plural: bool, more: Mapping[str, str]) -> str:
    bound = {
        "organ": pick(rng, _row(name)["organ"]),
        "adj": pick(rng, _row(name)["adj"]),
        "n": _noun(rng, name, plural=plural),
        "d": "suspected" if name.endswith("_cyst") else pick(rng, forms("lesions", "describing")),
        **more,
    }
    return pick(rng, forms("lesions", form), bound)


def lesion_of(rng: Random, name: str, *, plural: bool | None = None) -> Spoken:
    """A lesion of one row of the table, anywhere in its organ; `plural` None is either."""
    row = _row(name)
    wanted = rng.random() < 0.5 if plural is None else plural
    own = plural is None and (bool(row["only"]) or rng.random() < 0.22)
    if own:
        bare = pick(rng, row["special"]) if row["special"] and rng.random() < 0.7 else pick(rng, row["table"])
        wanted = is_plural(bare)
    elif row["only"]:
        bare = f"hepatic vessel {'tumors' if wanted else 'tumor'}"
    else:
        bare = _filled(rng, "forms", name, plural=wanted, more={})
    return Spoken(bare, (name,), plural=wanted, lesion=True)


def lesion_within(rng: Random, *, plural: bool | None = None) -> Spoken:
    """A lesion in a part of the pancreas, a liver segment or one of a pair."""
    wanted = rng.random() < 0.5 if plural is None else plural
    draw = rng.random()
    if draw < 0.34:
        part = called(rng, rng.choice(GROUPS["pancreas_parts"]), described=0.05, adjective=0.0)
        return _in_part(rng, "pancreas_lesion", part, plural=wanted)
    if draw < 0.62:
        part = segment_of(rng, rng.randint(1, 8)) if rng.random() < 0.7 else segments_together(rng)
        return _in_part(rng, rng.choice(("liver_lesion", "liver_lesion", "liver_cyst")), part, plural=wanted)
    name = rng.choice(("kidney_lesion", "kidney_lesion", "kidney_cyst", "lung_lesion", "adrenal_lesion"))
    side = rng.choice(("left", "right"))
    within = tuple(organ for organ in by_name(name).lesion_of if organ.endswith(side))
    bare = _filled(rng, "sided_forms", name, plural=wanted, more={"side": side, "organ": _one_side_word(rng, name)})
    return Spoken(bare, (name,), within, plural=wanted, lesion=True)


def _one_side_word(rng: Random, name: str) -> str:
    return {"lung_lesion": "lung", "adrenal_lesion": rng.choice(("adrenal gland", "adrenal"))}.get(name, "kidney")


def _in_part(rng: Random, name: str, part: Spoken, *, plural: bool) -> Spoken:
    bare = _filled(rng, "part_forms", name, plural=plural, more={"part": f"{part.article}{part.bare}"})
    return Spoken(bare, (name,), part.structures, plural=plural, lesion=True)


def generic_lesion(rng: Random, *, plural: bool | None = None) -> Spoken:
    """Tumours, lesions or cysts of no organ."""
    group = rng.choice(("tumors", "tumors", "lesions", "lesions", "cysts"))
    wanted = rng.random() < 0.6 if plural is None else plural
    words = words_of("lesions")["generic"][group]["many" if wanted else "one"]
    return Spoken(pick(rng, listed(words)), GROUPS[group], plural=wanted, generic=True, lesion=True)


def lesions_of_two(rng: Random) -> Spoken:
    """Lesions of two organs in one noun: 'liver and kidney tumours'."""
    kind = rng.random()
    rows = ["liver_cyst", "kidney_cyst"] if kind < 0.25 else rng.sample([n for n in KNOWN if n.endswith("_lesion")], 2)
    noun = _noun(rng, rows[0], plural=True)
    adjectives = [pick(rng, _row(name)["adj"]) for name in rows]
    organs = [pick(rng, _row(name)["organ"]) for name in rows]
    both = rng.choice((f"{' and '.join(adjectives)} {noun}", f"{noun} in the {organs[0]} and the {organs[1]}"))
    return Spoken(both, tuple(rows), plural=True, lesion=True)


def any_lesion(rng: Random) -> Spoken:
    """What a request about lesions may name."""
    draw = rng.random()
    if draw < 0.46:
        return lesion_of(rng, rng.choice(KNOWN))
    if draw < 0.62:
        return lesion_of(rng, rng.choice(OFTEN_RARE) if rng.random() < 0.6 else rng.choice(RARE))
    if draw < 0.77:
        return lesion_within(rng)
    return generic_lesion(rng) if draw < 0.93 else lesions_of_two(rng)


def many_lesions(rng: Random) -> Spoken:
    """Lesions in the plural."""
    draw = rng.random()
    if draw < 0.5:
        return lesion_of(rng, rng.choice(KNOWN), plural=True)
    if draw < 0.6:
        return lesion_of(rng, rng.choice(OFTEN_RARE), plural=True)
    if draw < 0.75:
        return lesion_within(rng, plural=True)
    return generic_lesion(rng, plural=True) if draw < 0.92 else lesions_of_two(rng)


def _with_number(rng: Random, *, plural: bool) -> Spoken:
    draw = rng.random()
    if draw < 0.6:
        return lesion_of(rng, rng.choice(KNOWN), plural=plural)
    return lesion_within(rng, plural=plural) if draw < 0.75 else generic_lesion(rng, plural=plural)


def chosen_lesions(rng: Random) -> Chosen:
    """Lesions picked by size or number: 'the largest liver tumour', 'two suspected lesions', 'cysts over 2 cm'."""
    draw = rng.random()
    if draw < 0.32:
        which = rng.choice(("largest", "largest", "biggest", "smallest"))
        lesion = _with_number(rng, plural=False)
        select = "smallest" if which == "smallest" else "largest"
        return Chosen(_renamed(lesion, f"the {which} {lesion.bare}"), {"select": select})
    if draw < 0.52:
        count = rng.choice(_COUNTS)
        lesion = _with_number(rng, plural=True)
        bare = pick(rng, forms("naming", "at_most"), {"k": count, "n": lesion.bare})
        return Chosen(_renamed(lesion, bare), {"limit": _NUMBERS.get(count) or int(count)})
    if draw < 0.64:
        count, which = rng.choice(_COUNTS), rng.choice(("largest", "biggest", "smallest"))
        lesion = _with_number(rng, plural=True)
        text = rng.choice((f"the {count} {which} {lesion.bare}", f"the {which} {count} {lesion.bare}"))
        select = "smallest" if which == "smallest" else "largest"
        return Chosen(_renamed(lesion, text), {"limit": _NUMBERS.get(count) or int(count), "select": select})
    return sized_lesions(rng, article=rng.choice(("", "all ", "the ", "any ")))


def sized_lesions(rng: Random, *, article: str = "") -> Chosen:
    """Lesions above, below or between sizes: 'metastases larger than 2 cm'."""
    lesion = _with_number(rng, plural=True)
    words, arguments = _bounds(rng)
    text = f"{article}{lesion.bare} {words}" if rng.random() < 0.9 else f"{article}{lesion.bare} ({words})"
    return Chosen(_renamed(lesion, text), arguments)


def _renamed(lesion: Spoken, bare: str) -> Spoken:
    return replace(lesion, bare=bare, article="")


def _length(rng: Random) -> tuple[str, float]:
    """A length as people write it, and in mm."""
    if rng.random() < 0.5:
        mm = float(rng.choice((3, 4, 5, 6, 8, 10, 12, 15, 18, 20, 25, 30, 35, 40, 50)))
        return f"{mm:g}{rng.choice((' mm', ' mm', 'mm', ' millimetres', ' millimeters'))}", mm
    cm = rng.choice((0.5, 1.0, 1.0, 1.5, 2.0, 2.0, 2.5, 3.0, 3.0, 4.0, 5.0, 6.0))
    word = {1.0: "one", 2.0: "two", 3.0: "three"}.get(cm, f"{cm:g}") if rng.random() < 0.1 else f"{cm:g}"
    return f"{word}{rng.choice((' cm', ' cm', 'cm', ' centimetres', ' centimeters'))}", cm * 10


def _bounds(rng: Random) -> tuple[str, dict[str, float]]:
    text, mm = _length(rng)
    draw = rng.random()
    if draw < 0.55:
        return f"{pick(rng, forms('naming', 'larger'))} {text}", {"min_mm": mm}
    if draw < 0.9:
        return f"{pick(rng, forms('naming', 'smaller'))} {text}", {"max_mm": mm}
    low = rng.choice((5, 10, 10, 15, 20))
    high = low + rng.choice((5, 10, 20, 30))
    words = pick(rng, forms("naming", "between"), {"low": str(low), "high": str(high)})
    return words, {"min_mm": float(low), "max_mm": float(high)}


def lesions_in(structures: Sequence[str]) -> tuple[str, ...]:
    """The lesion rows of an organ, those that are searched for first; empty for an organ without any."""
    rows = [row for row in STRUCTURES if row.lesion_of and set(row.lesion_of) & set(structures)]
    known = tuple(row.name for row in rows if row.kind == "lesion")
    return known or tuple(row.name for row in rows)


def organ_with_lesions(rng: Random) -> tuple[Spoken, tuple[str, ...], tuple[str, ...]]:
    """An organ, its lesion rows, and where within they are sought (one of a pair)."""
    while True:
        draw = rng.random()
        if draw < 0.75:
            name = rng.choice(_SEARCHED)
            spoken = called(rng, name, described=0.15, adjective=0.0)
        else:
            spoken = sided(
                rng, rng.choice(("kidneys", "kidneys", "lungs", "adrenal_glands")), rng.choice(("left", "right"))
            )
        rows = lesions_in(spoken.structures)
        one_sided = len(spoken.structures) == 1 and by_name(spoken.structures[0]).side is not None
        if rows:
            return spoken, rows, spoken.structures if one_sided else ()
