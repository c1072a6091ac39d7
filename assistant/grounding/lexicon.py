"""Names of structures in running text: which structures a phrase can mean, and where the phrases stand."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

from vision.structures import GROUP_WORDS, GROUPS, STRUCTURES, Structure, by_name, plain_words

GENERIC = "*"
"""Stands for any lesion: what 'lesion' or 'mass' without an organ names."""

_GENERIC_WORDS = ("lesion", "tumor", "mass", "nodule", "neoplasm", "focal lesion")
_CYSTS = frozenset(
    structure.name for structure in STRUCTURES if structure.lesion_of and structure.name.endswith("_cyst")
)
_PAIRS = tuple(dict.fromkeys(structure.pair for structure in STRUCTURES if structure.pair))
_WORD = re.compile(r"[a-z]+[0-9]*|[0-9]+")
_LONGEST = 8
_AMBIGUOUS = frozenset({"portal", "met", "mets", "growth", "ren", "ag", "ub", "fh", "aml", "collection", "eye", "gut"})
"""Synonyms that are also everyday English, codes or phase words: never read as a structure in a reply."""


@dataclass(frozen=True)
class Mention:
    """A phrase at [start, end) that names one of `names` (table names, or GENERIC); `plural` as written."""

    start: int
    end: int
    names: frozenset[str]
    plural: bool = False
    finding: str | None = None
    """Finding id, for a phrase such as 'F2' or 'liver lesion F2'."""


@dataclass(frozen=True)
class Lexicon:
    """Phrase (words of `plain_words`) -> (names it can mean, plural). Made from the structure table."""

    phrases: dict[tuple[str, ...], tuple[frozenset[str], bool]] = field(repr=False)

    def mentions(self, sentence: str) -> list[Mention]:
        """The longest phrases of a lower-case sentence, in order and not overlapping."""
        words = list(_WORD.finditer(sentence))
        found: list[Mention] = []
        at = 0
        while at < len(words):
            length = self._longest(words, at)
            if length:
                names, plural = self.phrases[tuple(word.group() for word in words[at : at + length])]
                found.append(Mention(words[at].start(), words[at + length - 1].end(), names, plural))
            at += max(length, 1)
        return found

    def _longest(self, words: list[re.Match[str]], at: int) -> int:
        for length in range(min(_LONGEST, len(words) - at), 0, -1):
            window = words[at : at + length]
            joined = all(not left.string[left.end() : right.start()].strip(" -_") for left, right in pairwise(window))
            if joined and tuple(word.group() for word in window) in self.phrases:
                return length
        return 0


def plain(sentence: str) -> str:
    """A sentence in lower case and American spelling, as `Lexicon.mentions` reads it; punctuation stays."""
    lowered = sentence.lower().replace("\u2212", "-").replace("\u2013", "-").replace("\u00d7", "x")
    return re.sub(r"[a-z]+", lambda word: plain_words(word.group()), lowered)


def is_lesion(structure: str) -> bool:
    """Whether a structure of the table is a lesion that lies in an organ."""
    return bool(by_name(structure).lesion_of)


def spoken(structure: str) -> str:
    """The spoken name of a structure: 'left kidney'."""
    return by_name(structure).spoken


def spoken_plural(structure: str) -> str:
    """The spoken name for several: 'liver lesions'."""
    name = spoken(structure)
    return name if name.endswith("s") and not name.endswith("us") else f"{name}s"


@cache
def table_lexicon() -> Lexicon:
    """The lexicon of the structure table: spoken names, synonyms, pairs of sides and 'lesion' words."""
    phrases: dict[tuple[str, ...], tuple[frozenset[str], bool]] = {}
    for word in _GENERIC_WORDS:
        _enter(phrases, word, frozenset({GENERIC}))
    _enter(phrases, "cyst", _CYSTS)
    for pair in _PAIRS:
        for word in GROUP_WORDS[pair]:
            _enter(phrases, f"left and right {word}", frozenset(GROUPS[pair]))
            _enter(phrases, word.removesuffix("s") if word == GROUP_WORDS[pair][0] else word, frozenset(GROUPS[pair]))
    for structure in STRUCTURES:
        for form in _forms(structure):
            _enter(phrases, form, frozenset({structure.name}))
    return Lexicon(phrases)


def _forms(structure: Structure) -> Iterable[str]:
    return (form for form in (structure.spoken, structure.name, *structure.synonyms) if form not in _AMBIGUOUS)


def _enter(phrases: dict[tuple[str, ...], tuple[frozenset[str], bool]], form: str, names: frozenset[str]) -> None:
    words = tuple(_WORD.findall(plain_words(form)))
    for ending, plural in (("s", True), ("es", True), ("", False)):
        key = (*words[:-1], words[-1] + ending)
        known = phrases.get(key)
        if known is None or ending == "":
            phrases[key] = (names | (known[0] if known and known[0] != frozenset({GENERIC}) else frozenset()), plural)
