"""Patterns that compose phrasings: choices, optional words, lists of phrases, slots.

`(a|b)` is one of them, `[a]` is there half the time, `{name}` a bound slot or a phrase of `prompts/instructions`;
a backslash takes the meaning from the bracket after it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from types import MappingProxyType
from typing import Any

from prompts import load_words

_SPACES = re.compile(r"[ \t]+")
_BEFORE_MARK = re.compile(r" +([,.;:?!)])")
_PIECE = re.compile(r"(\\.|[()\[\]|]|\{[^{}]*\})")
_CHOICE = re.compile(r"(?<!\\)\(([^()\[\]\\|]*\|[^()\[\]\\]*)\)")
MOST_VARIANTS = 24
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Slot:
    """A place to fill."""

    name: str


@dataclass(frozen=True)
class Choice:
    """One of several, or nothing half the time where `optional`."""

    options: tuple[Pattern, ...]
    optional: bool = False


Pattern = tuple["str | Slot | Choice", ...]


def parse(text: str) -> Pattern:
    """The pattern of a text. Raises ValueError for brackets that do not match."""
    pieces = [piece for piece in _PIECE.split(text) if piece]
    options, position = _options(pieces, 0, "")
    if position != len(pieces) or len(options) != 1:
        raise ValueError(f"brackets do not match in {text[:60]!r}")
    return options[0]


def _options(pieces: list[str], position: int, end: str) -> tuple[list[Pattern], int]:
    """The alternatives up to `end`, and the position of `end`."""
    options: list[list[str | Slot | Choice]] = [[]]
    while position < len(pieces) and pieces[position] not in (")", "]"):
        piece = pieces[position]
        if piece in ("(", "["):
            closing = ")" if piece == "(" else "]"
            inner, position = _options(pieces, position + 1, closing)
            if position >= len(pieces) or pieces[position] != closing:
                raise ValueError(f"{piece!r} is not closed")
            options[-1].append(Choice(tuple(inner), optional=piece == "["))
        elif piece == "|":
            options.append([])
        elif piece.startswith("{"):
            options[-1].append(Slot(piece[1:-1]))
        else:
            options[-1].append(piece.removeprefix("\\"))
        position += 1
    if not end and len(options) > 1:
        raise ValueError("'|' stands outside brackets")
    return [tuple(option) for option in options], position


def slots_of(pattern: Pattern) -> frozenset[str]:
    """Names of all slots of a pattern."""
    found: set[str] = set()
    for part in pattern:
        if isinstance(part, Slot):
            found.add(part.name)
        elif isinstance(part, Choice):
            for option in part.options:
                found |= slots_of(option)
    return frozenset(found)


def render(pattern: Pattern, rng: Random, bound: Mapping[str, str] = _NOTHING) -> str:
    """A text of a pattern; `bound` comes before the phrases. Raises KeyError for a slot that is neither."""
    return "".join([_part(part, rng, bound) for part in pattern])


def _part(part: str | Slot | Choice, rng: Random, bound: Mapping[str, str]) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Slot):
        value = bound.get(part.name)
        if value is not None:
            return value
        options = phrases(part.name)
        return render(options[int(rng.random() * len(options))], rng, bound)
    if part.optional and rng.random() < 0.5:
        return ""
    options = part.options
    return render(options[int(rng.random() * len(options))], rng, bound)


def tidy(text: str) -> str:
    """Without doubled blanks and blanks before marks."""
    return _BEFORE_MARK.sub(r"\1", _SPACES.sub(" ", text)).strip(" ,")


@cache
def forms(table: str, key: str) -> tuple[Pattern, ...]:
    """The lines of one block of a table of this folder, as patterns."""
    return tuple(parse(line) for line in lines(words_of(table)[key]))


def pick(rng: Random, patterns: Sequence[Pattern], bound: Mapping[str, str] = _NOTHING) -> str:
    """A text of one of the patterns."""
    return render(patterns[int(rng.random() * len(patterns))], rng, bound)


@cache
def phrases(name: str) -> tuple[Pattern, ...]:
    """The options of a list of `phrases.toml`. Raises KeyError for one that is not there."""
    return forms("phrases", name)


def lines(text: str) -> tuple[str, ...]:
    """The lines of a block of frames, without empty ones."""
    return tuple(line for line in (raw.strip() for raw in text.splitlines()) if line)


def listed(text: str) -> tuple[Pattern, ...]:
    """Patterns parted by ' ; ' or by line breaks."""
    return tuple(parse(part.strip()) for line in text.splitlines() for part in line.split(" ; ") if part.strip())


def expanded(frame: str) -> tuple[str, ...]:
    """The templates of a frame: `<list>` replaced by each option of that list, choices by each of their options.

    Choices beyond MOST_VARIANTS templates a frame stay in the template.
    """
    match = re.search(r"<(\w+)>", frame)
    if match is not None:
        options = lines(load_words("instructions/phrases")[match[1]])
        return tuple(f"{frame[: match.start()]}{option}{frame[match.end() :]}" for option in dict.fromkeys(options))
    texts = [frame]
    for choice in _CHOICE.finditer(frame):
        variants = choice[1].split("|")
        if len(texts) * len(variants) > MOST_VARIANTS:
            break
        texts = [text.replace(choice[0], variant, 1) for text in texts for variant in variants]
    return tuple(dict.fromkeys(texts))


def all_expanded(block: str) -> tuple[str, ...]:
    """The templates of all frames of a block."""
    return tuple(text for line in lines(block) for text in expanded(line))


def hash_of(text: str) -> str:
    """What the id of a template ends with."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def words_of(name: str) -> Mapping[str, Any]:
    """The table of `prompts/instructions/<name>.toml`."""
    return load_words(f"instructions/{name}")
