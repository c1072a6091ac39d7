"""Structures in the words of people: names, abbreviations, sides, descriptions, and number and article."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from assistant.language.instructions.grammar import Pattern, forms, lines, listed, parse, pick, tidy, words_of
from vision.structures import GROUP_WORDS, GROUPS, STRUCTURES, by_name

_WHOLE = re.compile(r"(?:all|every|each|both|everything|anything|whatever|any|the|segments?) |everything$|all$", re.I)
_CLAUSE = re.compile(
    r" (?:of|in|that|which|where|between|behind|under|below|above|for|on|with|inside|within|through|into|around|"
    r"surrounding|beside|next|from|at|to|carrying|formed|running|lying|sitting|beneath|beyond|after|before|near|we)\b.*"
)


@cache
def _words(key: str) -> frozenset[str]:
    """Single words of a block of `naming.toml`."""
    return frozenset(words_of("naming")[key].split())


@cache
def _mass() -> frozenset[str]:
    return frozenset(lines(words_of("naming")["mass"]))


@dataclass(frozen=True)
class Spoken:
    """One way to name structures: `bare` without article; `structures` and `within` are what a plan says of it."""

    bare: str
    structures: tuple[str, ...]
    within: tuple[str, ...] = ()
    plural: bool = False
    article: str = "the "
    """'the ', or '' where none fits."""
    generic: bool = False
    """Whether it is a lesion of no organ."""
    lesion: bool = False


@dataclass(frozen=True)
class Names:
    """All that one structure or group is called."""

    nouns: tuple[Pattern, ...]
    described: tuple[Pattern, ...]
    adjectives: tuple[str, ...]
    one: tuple[Pattern, ...]
    hints: tuple[Pattern, ...]


def is_plural(bare: str) -> bool:
    """Whether a bare noun phrase takes 'are'."""
    head = _CLAUSE.sub("", bare).split(",")[0]
    if " and " in head or " & " in head:
        return True
    word = head.rsplit(" ", 1)[-1].lower().strip("().")
    if word in _words("plurals") or bare in ("SVs", "LNs", "AGs"):
        return True
    return word.endswith("s") and not word.endswith(("ss", "us", "is", "as", "os"))


def article_of(bare: str) -> str:
    """'the ' before a noun phrase that takes it."""
    return "" if bare in _mass() or _WHOLE.match(bare) else "the "


def spoken_as(bare: str, structures: Sequence[str]) -> Spoken:
    """A noun phrase with its number and article."""
    return Spoken(bare, tuple(structures), plural=is_plural(bare), article=article_of(bare))


@cache
def names_of(name: str) -> Names:
    """The words for a structure or group: of the table, and of `structures.toml`."""
    own: dict[str, Any] = dict(words_of("structures").get(name, {}))
    table = (
        GROUP_WORDS[name]
        if name in GROUP_WORDS
        else (by_name(name).spoken, *by_name(name).synonyms, by_name(name).name)
    )
    skipped = {part.strip() for part in str(own.get("skip", "")).split(" ; ")}
    adjectives = tuple(word for word in table if word in _words("adjectives"))
    nouns = [word for word in table if word not in skipped and word not in _words("adjectives")]
    if name not in GROUPS and by_name(name).pair is not None:
        nouns = [by_name(name).spoken]
    extra = [pattern for pattern in listed(str(own.get("names", ""))) if pattern not in [(word,) for word in skipped]]
    weights = [parse(nouns[0])] * 6 if nouns else []
    return Names(
        nouns=(*weights, *(parse(word) for word in nouns[1:] if "(" not in word), *extra, *extra),
        described=listed(str(own.get("described", ""))),
        adjectives=adjectives,
        one=listed(str(own.get("one", ""))),
        hints=listed(str(own.get("hints", ""))),
    )


def all_hints() -> tuple[str, ...]:
    """Names of structures and groups that a complaint can point to."""
    return tuple(name for name, entry in words_of("structures").items() if entry.get("hints"))


@cache
def pair_words(group: str) -> tuple[str, ...]:
    """The singular nouns for one of a pair: kidney, adrenal, femoral head, ..."""
    skipped = {part.strip() for part in str(words_of("structures")[group].get("skip", "")).split(" ; ")}
    words = [word for word in GROUP_WORDS[group] if word not in _words("adjectives") | skipped and not is_plural(word)]
    return tuple(word for word in words if word not in lines(words_of("naming")["not_for_one_side"]))


def sided(rng: Random, group: str, side: str, *, described: float = 0.1) -> Spoken:
    """One of a pair: 'left kidney', 'L adrenal', 'femoral head on the right'."""
    one = names_of(group).one
    if one and rng.random() < described:
        word = pick(rng, one)
    elif rng.random() < 0.5:
        word = pair_words(group)[0]
    else:
        word = rng.choice(pair_words(group))
    bound = {"s": side, "w": word, "S": side[0].upper(), "t": "lt" if side == "left" else "rt"}
    structure = next(name for name in GROUPS[group] if name.endswith(side))
    return Spoken(pick(rng, forms("naming", "side_forms"), bound), (structure,))


def called(rng: Random, name: str, *, described: float = 0.18, adjective: float = 0.06) -> Spoken:
    """One way to say a structure or group, by name or, with the probability `described`, by a description."""
    if name not in GROUPS and by_name(name).pair is not None:
        return sided(rng, str(by_name(name).pair), str(by_name(name).side), described=described)
    names = names_of(name)
    structures = GROUPS.get(name, (name,))
    draw = rng.random()
    if names.described and draw < described:
        return spoken_as(tidy(pick(rng, names.described)), structures)
    if names.adjectives and draw > 1 - adjective:
        bare = f"{rng.choice(names.adjectives)} {pick(rng, forms('naming', 'adjective_nouns'))}"
        return Spoken(bare, tuple(structures))
    return spoken_as(tidy(pick(rng, names.nouns)), structures)


def all_units() -> tuple[str, ...]:
    """Every structure that can be named by itself: rows that are no lesion."""
    return tuple(row.name for row in STRUCTURES if not row.lesion_of)
