"""How people type: slips, spelling, case and marks. What lies between PROTECT and RELEASE keeps its letters."""

from __future__ import annotations

import re
from functools import cache
from random import Random

from assistant.language.instructions.grammar import lines, words_of
from vision.structures import GROUP_WORDS, STRUCTURES, plain_words

PROTECT, RELEASE = "\x01", "\x02"
SLIPS = (0.74, 0.2, 0.06)
"""Shares of texts with none, one and two or three slips."""
_WORD = re.compile(r"[A-Za-z]{4,}")
_GUARDED = re.compile("\x01[^\x02]*\x02")
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_SIDES = frozenset(("left", "right"))
_UPPER = re.compile(r"\b[A-Z]{2,}\b")


@cache
def _neighbours() -> dict[str, str]:
    near: dict[str, str] = {}
    for row, keys in enumerate(_ROWS):
        for column, key in enumerate(keys):
            around = [(row, column - 1), (row, column + 1), (row - 1, column), (row + 1, column)]
            near[key] = "".join(_ROWS[r][c] for r, c in around if 0 <= r < len(_ROWS) and 0 <= c < len(_ROWS[r]))
    return near


@cache
def _known_words() -> frozenset[str]:
    """Words of names: a slip may not turn one of them, or any word, into one of these."""
    forms = [form for row in STRUCTURES for form in (row.spoken, row.name, *row.synonyms)]
    forms += [word for words in GROUP_WORDS.values() for word in words]
    words = {word for form in forms for word in plain_words(form).split()}
    own = " ".join(
        str(entry.get(key, "")) for entry in words_of("structures").values() for key in ("names", "described")
    )
    return frozenset(words | {word.lower() for word in re.findall(r"[A-Za-z]+", own)} | _SIDES)


@cache
def _spellings() -> tuple[tuple[str, str], ...]:
    """(American, British) beginnings or words."""
    return tuple(tuple(pair.split("/")) for pair in lines(words_of("spelling")["pairs"]))  # type: ignore[misc]


def slipped(word: str, rng: Random) -> str:
    """A word with one slip: a neighbouring key, two letters swapped, one dropped or doubled. Never another name."""
    lower = word.lower()
    if len(word) < 4 or lower in _SIDES:
        return word
    for _ in range(4):
        at = rng.randrange(1, len(word))
        kind = rng.random()
        if kind < 0.28:
            made = word[:at] + word[at + 1 :]
        elif kind < 0.5:
            made = word[:at] + word[at] + word[at:]
        elif kind < 0.76 and at + 1 < len(word):
            made = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        else:
            near = _neighbours().get(lower[at], "")
            made = word[:at] + rng.choice(near) + word[at + 1 :] if near else word
        if made.lower() != lower and made.lower() not in _known_words() and _stem(made) not in _known_words():
            return made
    return word


def _stem(word: str) -> str:
    return plain_words(word).removesuffix("s")


def with_slips(text: str, rng: Random) -> str:
    """A text with a few slips in words of four letters or more."""
    draw = rng.random()
    if draw < SLIPS[0]:
        return text
    guarded = [match.span() for match in _GUARDED.finditer(text)]
    words = [m for m in _WORD.finditer(text) if not any(a < m.end() and m.start() < b for a, b in guarded)]
    number = 1 if draw < SLIPS[0] + SLIPS[1] else rng.choice((2, 3))
    for match in sorted(rng.sample(words, min(number, len(words))), key=lambda m: -m.start()):
        text = text[: match.start()] + slipped(match.group(), rng) + text[match.end() :]
    return text


def spelled(text: str, rng: Random) -> str:
    """A text in American or British spelling, or as it is."""
    draw = rng.random()
    if draw < 0.3:
        return text
    for us, uk in _spellings():
        if uk in text:
            text = text.replace(uk, us)
    if draw < 0.68:
        return text
    for us, uk in _spellings():
        if us in text:
            text = text.replace(us, uk)
    return text


def cased(text: str, rng: Random) -> str:
    """A text in one of the ways people use capitals."""
    draw = rng.random()
    if draw < 0.56:
        return text[:1].upper() + text[1:]
    if draw < 0.72:
        return text
    if draw < 0.955:
        return text.lower()
    if draw < 0.985:
        return text.upper() if len(text) < 120 else text
    return text.title() if len(text) < 80 else text


def marked(text: str, rng: Random, *, mood: str) -> str:
    """A text with the end mark that people give it, if any."""
    if text.endswith(("?", "!", ".", ":")):
        return text if rng.random() < 0.8 else text.rstrip("?!.")
    draw = rng.random()
    if mood == "ask":
        return text + ("?" if draw < 0.7 else "" if draw < 0.93 else "??" if draw < 0.95 else " ?")
    if mood == "fragment":
        return text + ("" if draw < 0.72 else "." if draw < 0.84 else "?" if draw < 0.92 else "!")
    return text + ("." if draw < 0.46 else "" if draw < 0.92 else "!" if draw < 0.97 else "...")


def released(text: str) -> str:
    """A text without the marks of protection."""
    return text.replace(PROTECT, "").replace(RELEASE, "")
