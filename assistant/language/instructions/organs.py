"""Which organs, vessels and parts a request names: one, a pair, a group, a list, all but some."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from assistant.language.instructions.grammar import forms, pick
from assistant.language.instructions.naming import Spoken, all_units, called, pair_words, sided
from vision.structures import ABDOMENATLAS, GROUPS, by_name

PAIRS = ("kidneys", "lungs", "adrenal_glands", "femurs")
MAIN = tuple(name for name in ABDOMENATLAS.values() if by_name(name).pair is None)
PARTS = (*GROUPS["pancreas_parts"], *GROUPS["liver_segments"])
EXTRAS = tuple(name for name in all_units() if by_name(name).kind == "extra")
OFTEN = ("seminal_vesicles",) * 14 + ("muscle",) * 7 + ("skeleton",) * 6 + ("heart", "vertebrae", "ureter", "psoas") * 2
SYSTEMS = (
    *("everything",) * 6 + ("organs",) * 4 + ("cardiovascular",) * 5 + ("gastrointestinal",) * 5,
    *("solid_organs", "arteries", "veins", "hepatobiliary", "urinary", "pelvic", "pancreas_parts", "liver_segments"),
)
FINDING_LIKE = (
    *("ascites", "pleural_effusion", "kidney_stone", "gallstone", "aneurysm", "hernia", "thrombus", "fracture"),
    *("abscess", "lymph_nodes"),
)
COUNTABLE = (
    *("kidneys", "adrenal_glands", "lungs", "ribs", "vertebrae", "kidney_stone", "gallstone", "lymph_nodes"),
    *("fracture", "renal_artery", "liver_segments", "thrombus"),
)
_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")


def one_organ(rng: Random, *, described: float = 0.18) -> Spoken:
    """One organ, vessel, part or side of a pair."""
    draw = rng.random()
    if draw < 0.42:
        return called(rng, rng.choice(MAIN), described=described)
    if draw < 0.66:
        return sided(rng, rng.choice(PAIRS), rng.choice(("left", "right")), described=described / 2)
    if draw < 0.75:
        part = rng.choice(PARTS)
        return segment_of(rng, int(part[-1])) if part[-1].isdigit() else called(rng, part, described=described)
    return called(rng, rng.choice(OFTEN) if rng.random() < 0.45 else rng.choice(EXTRAS), described=described)


def short_organ(rng: Random) -> Spoken:
    """One organ or both of a pair, by a name."""
    draw = rng.random()
    if draw < 0.6:
        return called(rng, rng.choice(MAIN), described=0.06)
    if draw < 0.8:
        return sided(rng, rng.choice(PAIRS), rng.choice(("left", "right")))
    if draw < 0.9:
        return called(rng, rng.choice(PAIRS), described=0.05)
    return called(rng, rng.choice(OFTEN) if rng.random() < 0.3 else rng.choice(EXTRAS), described=0.05)


def unit(rng: Random, *, described: float = 0.18) -> Spoken:
    """One organ, both of a pair, or a system."""
    draw = rng.random()
    if draw < 0.72:
        return one_organ(rng, described=described)
    return called(rng, rng.choice(PAIRS if draw < 0.84 else SYSTEMS), described=described)


def any_organ(rng: Random, *, described: float = 0.18) -> Spoken:
    """What a request for masks or numbers may name: mostly one, at times several."""
    draw = rng.random()
    if draw < 0.76:
        return unit(rng, described=described)
    if draw < 0.93:
        return organ_list(rng)
    return rng.choice((all_but, parts_together, segments_together, both_sides))(rng)


def segment_of(rng: Random, number: int) -> Spoken:
    """A liver segment by its number, or by a name of its own."""
    name = f"liver_segment_{number}"
    if rng.random() < 0.15:
        return called(rng, name, described=0.3)
    value = str(number) if rng.random() < 0.6 else _ROMAN[number - 1]
    return Spoken(pick(rng, forms("naming", "segment_forms"), {"n": value}), (name,), article="")


def segments_together(rng: Random) -> Spoken:
    """Several liver segments: 'segments 5, 6 and 7', 'segments II to IV'."""
    roman = rng.random() < 0.35
    said = (lambda n: _ROMAN[n - 1]) if roman else str
    if rng.random() < 0.3:
        first = rng.randint(1, 6)
        last = rng.randint(first + 1, 8)
        numbers, text = (
            list(range(first, last + 1)),
            f"{said(first)} {rng.choice(('to', 'to', 'through'))} {said(last)}",
        )
    else:
        numbers = sorted(rng.sample(range(1, 9), rng.choice((2, 2, 3, 4))))
        text = joined(rng, [said(n) for n in numbers])
    bare = pick(rng, forms("naming", "segments_forms"), {"n": text})
    return Spoken(bare, tuple(f"liver_segment_{n}" for n in numbers), plural=True, article="")


def parts_together(rng: Random) -> Spoken:
    """Several parts of the pancreas: 'head and tail of the pancreas'."""
    parts = rng.sample(("head", "body", "tail"), rng.choice((2, 2, 3)))
    bare = pick(rng, forms("naming", "parts_forms"), {"n": joined(rng, parts)})
    return Spoken(bare, tuple(f"pancreas_{part}" for part in parts), plural=True)


def both_sides(rng: Random) -> Spoken:
    """Left and right named one by one: 'left and right kidney'."""
    group = rng.choice(PAIRS)
    first, second = rng.choice((("left", "right"), ("right", "left")))
    word = rng.choice(pair_words(group))
    bare = f"{first} {rng.choice(('and', 'and', '&', '+'))} {rng.choice(('', '', 'the '))}{second} {word}"
    structures = tuple(next(n for n in GROUPS[group] if n.endswith(side)) for side in (first, second))
    return Spoken(bare, structures, plural=True)


def organ_list(rng: Random) -> Spoken:
    """Two to five organs in a row."""
    number = rng.choice((2, 2, 2, 2, 3, 3, 3, 4, 5))
    items: list[Spoken] = []
    while len(items) < number:
        draw = rng.random()
        item = one_organ(rng, described=0.05) if draw < 0.85 else called(rng, rng.choice(PAIRS), described=0.05)
        if not any(overlap(item.structures, other.structures) for other in items) and " and " not in item.bare:
            items.append(item)
    article = rng.choice(("the ", "the ", ""))
    inner = rng.choice(("", "", article))
    names = [f"{inner if item.article else ''}{item.bare}" if n else item.bare for n, item in enumerate(items)]
    structures = tuple(dict.fromkeys(name for item in items for name in item.structures))
    return Spoken(joined(rng, names), structures, plural=True, article=article if items[0].article else "")


def joined(rng: Random, names: Sequence[str]) -> str:
    """Names in a row: 'a, b and c', 'a + b', 'a/b', 'a as well as b'."""
    if len(names) == 1:
        return names[0]
    draw = rng.random()
    if draw < 0.08:
        return rng.choice((" + ", "/", " / ")).join(names)
    if draw < 0.14:
        return ", ".join(names)
    last = f" {pick(rng, forms('naming', 'last_of_list'))} ".replace(" ,", ",")
    if draw < 0.22:
        last = " and "
        return last.join(names)
    return f"{', '.join(names[:-1])}{last}{names[-1]}"


def all_but(rng: Random) -> Spoken:
    """A system without some of its members: 'all organs except the spleen'."""
    group = rng.choice(("everything", "everything", "organs", "organs", "organs", "gastrointestinal", "solid_organs"))
    whole = called(rng, group, described=0.0, adjective=0.0)
    number = rng.choice((1, 1, 1, 2))
    members = [name for name in GROUPS[group] if by_name(name).pair is None]
    members += [pair for pair in PAIRS if set(GROUPS[pair]) <= set(GROUPS[group])]
    left_out: list[Spoken] = []
    while len(left_out) < number:
        name = rng.choice(members)
        item = called(rng, name, described=0.0, adjective=0.0)
        if not any(overlap(item.structures, other.structures) for other in left_out):
            left_out.append(item)
    word = pick(rng, forms("naming", "except"))
    gone = {name for item in left_out for name in item.structures}
    text = f"{whole.bare} {word} {joined(rng, [item.article + item.bare for item in left_out])}"
    return Spoken(text, tuple(n for n in GROUPS[group] if n not in gone), plural=whole.plural, article=whole.article)


def overlap(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether two sets of structures share one, or one holds a part of the other."""
    return bool(_with_whole(first) & _with_whole(second))


def _with_whole(names: Sequence[str]) -> set[str]:
    found = set(names)
    for name in names:
        parent = by_name(name).parent
        found |= {parent, *GROUPS.get(parent, ())} if parent else set()
    return found


def beside(rng: Random, structures: Sequence[str]) -> Spoken:
    """Another organ that none of `structures` is, or is a part of."""
    while True:
        other = called(rng, rng.choice((*MAIN, *PAIRS)), described=0.0, adjective=0.0)
        if not overlap(other.structures, structures):
            return other
