"""Questions as words: cleaning what came in, splitting it, and phrases as patterns over the words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from vision.structures import plain_words

LONGEST_QUESTION = 4000
"""Characters; what is longer is refused unread."""

_TOKEN = re.compile(r"[^\W_]+(?:['][^\W_]+)*|[.,;:?!()/&+\n]")
_SHORT_FORMS = (
    (r"\be\.g\.", "eg"),
    (r"\bi\.e\.", "ie"),
    (r"\bvs\.", "vs"),
    (r"\bdr\.", "dr"),
    (r"(\d)[.](\d)", r"\1\2"),
)
_NAME_WITH_SIDE = re.compile(r"\b([a-z]+(?:_gland)?)_(left|right)\b")
_KEPT_S = frozenset({"mets", "is", "this", "his", "its", "as", "us", "yes", "gas", "has", "was", "does", "s", "vs"})


@dataclass(frozen=True)
class Token:
    """One word or mark: `raw` as typed in lower case and American spelling, `stem` without a plural ending."""

    raw: str
    stem: str

    @property
    def is_word(self) -> bool:
        """Whether it is a word or number rather than punctuation."""
        return self.raw[0].isalnum()


def clean(question: str) -> str:
    """The question in one Unicode form, without control, zero-width and direction characters; newlines kept."""
    text = unicodedata.normalize("NFKC", question).replace("\u2019", "'").replace("\u2018", "'").replace("\r", "\n")
    kept = (" " if character == "\t" else character for character in text)
    return "".join(
        c for c in kept if c == "\n" or unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn"}
    ).strip()


def stem(word: str) -> str:
    """A word without its plural ending; the same for names and for questions, so that both meet."""
    if len(word) <= 3 or word in _KEPT_S or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") else word


def _expand(word: str) -> tuple[str, ...]:
    """Contractions as words: "isn't" -> is not; a possessive or "'s" falls away."""
    if "'" not in word:
        return (word,)
    head, _, tail = word.partition("'")
    if tail == "t" and head.endswith("n"):
        return ({"ca": "can", "wo": "will"}.get(head[:-1], head[:-1]), "not")
    return (head,)


def tokens_of(question: str) -> tuple[Token, ...]:
    """The words and marks of a cleaned question, in order."""
    text = _NAME_WITH_SIDE.sub(r"\2 \1", question.lower())
    for pattern, short in _SHORT_FORMS:
        text = re.sub(pattern, short, text)
    found = (word for match in _TOKEN.finditer(text.replace("_", " ")) for word in _expand(match.group()))
    return tuple(Token(raw=word, stem=stem(word)) for word in (plain_words(w) or w for w in found))


def _phrase_pattern(phrase: str) -> str:
    words = (r"\w+" if word == "*" else re.escape(plain_words(word)).replace(r"\*", r"\w*") for word in phrase.split())
    return " ".join(words)


@cache
def _pattern(phrases: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(phrases, key=len, reverse=True)
    return re.compile(r"(?<!\S)(?:" + "|".join(map(_phrase_pattern, longest_first)) + r")(?!\S)")


def find_phrase(phrases: Iterable[str], text: str) -> re.Match[str] | None:
    """The first of `phrases` in a text of blank-separated words; a word's trailing * stands for any ending."""
    return _pattern(tuple(phrases)).search(text)


def starts_with_phrase(phrases: Iterable[str], text: str) -> bool:
    """Whether a text of blank-separated words begins with one of `phrases`."""
    return _pattern(tuple(phrases)).match(text) is not None
