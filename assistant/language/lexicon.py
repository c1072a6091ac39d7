"""Every name of the structure table as runs of word stems, found in a question even when misspelled."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from rapidfuzz import process
from rapidfuzz.distance import OSA

from assistant.language.words import Token, tokens_of
from prompts import load_words
from vision.structures import GROUP_WORDS, GROUPS, STRUCTURES

FILLERS = frozenset({"the", "of", "a", "an", "in", "within", "his", "her", "their", "my", "patient", "inside", "this"})
"""Words that may stand inside a name without changing it: head of (the) femur."""

SIDES = {"left": "left", "right": "right", "l": "left", "r": "right", "lt": "left", "rt": "right", "lefthand": "left"}
SIDES |= {"righthand": "right", "leftsided": "left", "rightsided": "right", "sinistral": "left", "dextral": "right"}
"""Words for a side of the patient."""

_MOST_SKIPPED = 4
_GLUED_SIDE = re.compile(r"(left|right)([a-z]{4,})")


@dataclass(frozen=True)
class Target:
    """What a name stands for: `structures` of the table, and the `group` it names, if any."""

    structures: tuple[str, ...]
    group: str | None = None


@dataclass
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    target: Target | None = None


@dataclass(frozen=True)
class Match:
    """A name found at tokens [start, stop); `inner_sides` are side words that stood inside it."""

    start: int
    stop: int
    target: Target
    inner_sides: tuple[str, ...] = ()


def _stems(form: str) -> tuple[str, ...]:
    return tuple(token.stem for token in tokens_of(form) if token.stem not in FILLERS)


def _forms() -> list[tuple[tuple[str, ...], Target]]:
    forms = []
    for structure in STRUCTURES:
        target = Target((structure.name,))
        if structure.pair is None:
            forms += [(_stems(form), target) for form in (structure.spoken, structure.name, *structure.synonyms)]
    for group, words in GROUP_WORDS.items():
        forms += [(_stems(form), Target(GROUPS[group], group)) for form in (*words, group)]
    return forms


@cache
def _tree() -> _Node:
    root = _Node()
    for stems, target in _forms():
        for spelled in (stems, ("".join(stems),)) if len(stems) == 2 and min(map(len, stems)) > 2 else (stems,):
            node = root
            for word in spelled:
                node = node.children.setdefault(word, _Node())
            node.target = node.target or target
    return root


@cache
def _vocabulary() -> tuple[frozenset[str], tuple[str, ...]]:
    """All words that occur in a name, and the longer ones, which a misspelled word may have meant."""
    singles = {word for stems, _ in _forms() for word in stems}
    glued = {"".join(stems) for stems, _ in _forms() if len(stems) == 2 and min(map(len, stems)) > 2}
    every = singles | glued | set(load_words("common")["corrected"])
    return frozenset(every), tuple(sorted(word for word in every if len(word) >= 5 and word.isalpha()))


@cache
def _common_words() -> frozenset[str]:
    """Words that are right as they are: ordinary ones and those that requests are made of."""
    requests = [word for phrase in _phrases(dict(load_words("requests"))) for word in phrase.split()]
    ordinary = [word for line in load_words("common")["words"] for word in line.split()]
    return frozenset(word for word in (*ordinary, *requests) if not word.endswith("*"))


@cache
def _common_beginnings() -> tuple[str, ...]:
    requests = (word for phrase in _phrases(dict(load_words("requests"))) for word in phrase.split())
    return tuple({word[:-1] for word in requests if word.endswith("*") and len(word) > 3})


def _phrases(table: object) -> list[str]:
    """All strings in a nested table."""
    if isinstance(table, dict):
        return [phrase for value in table.values() for phrase in _phrases(value)]
    if isinstance(table, list):
        return [phrase for value in table for phrase in _phrases(value)]
    return [str(table)]


def is_ordinary(word: str) -> bool:
    """Whether a word is plain English or belongs to how requests are put, and so names no structure."""
    return word in _common_words() or word.startswith(_common_beginnings()) or word in FILLERS


@cache
def _correct(word: str) -> str:
    """The word of a name that a misspelled word most likely meant, or the word itself."""
    known, targets = _vocabulary()
    if word in known or len(word) < 4 or not word.isalpha() or word.startswith(_common_beginnings()):
        return word
    allowed = 1 if len(word) < 8 else 2
    near = process.extract(word, targets, scorer=OSA.distance, score_cutoff=allowed, limit=8)
    likely = [
        (distance, other)
        for other, distance, _ in near
        if (len(word) >= 7 or other[0] == word[0] or sorted(other[:2]) == sorted(word[:2]))
        and (distance == 1 or len(other) >= 8)
    ]
    return min(likely)[1] if likely else word


def correct(tokens: Sequence[Token]) -> tuple[Token, ...]:
    """The tokens with misspelled parts of names put right; ordinary words stay as they are."""
    known, _ = _vocabulary()
    put_right: list[Token] = []
    for token in tokens:
        glued = _GLUED_SIDE.fullmatch(token.stem)
        if glued and glued[2] in known:
            put_right += [Token(glued[1], glued[1]), Token(glued[2], glued[2])]
            continue
        word = token.stem if {token.raw, token.stem} & _common_words() else _correct(token.stem)
        put_right.append(token if word == token.stem else Token(raw=word, stem=word))
    return tuple(put_right)


def _longest(tokens: Sequence[Token], start: int) -> Match | None:
    node = _tree()
    best: Match | None = None
    sides: tuple[str, ...] = ()
    skipped = 0
    for position in range(start, len(tokens)):
        token = tokens[position]
        if token.stem in node.children:
            node = node.children[token.stem]
            if node.target is not None:
                best = Match(start, position + 1, node.target, sides)
        elif position > start and skipped < _MOST_SKIPPED and (token.stem in FILLERS or token.raw in SIDES):
            skipped += 1
            sides += (SIDES[token.raw],) if token.raw in SIDES else ()
        else:
            break
    return best


def _without_slip(match: Match, tokens: Sequence[Token], start: int) -> Match | None:
    """'segment the liver' and 'liver segment' are a liver and a verb; the map of liver segments is plural."""
    words = [token.raw for token in tokens[match.start : match.stop]]
    if match.target.group != "liver_segments" or "segment" not in words:
        return match
    return None if words[0] == "segment" else _longest(tokens[: match.start + words.index("segment")], start)


def find_names(tokens: Sequence[Token]) -> list[Match]:
    """All names in reading order, the longest at each place, none overlapping."""
    found: list[Match] = []
    position = 0
    while position < len(tokens):
        match = _longest(tokens, position) if tokens[position].is_word else None
        match = _without_slip(match, tokens, position) if match else None
        if match is None:
            position += 1
        else:
            found.append(match)
            position = match.stop
    return found
