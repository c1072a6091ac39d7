"""A phrase as radiologists write it -> a wish: "large hypodense", "small hyperattenuating cyst with calcification"."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar, cast

from rapidfuzz import process

from vision.errors import UsageError
from vision.synthesis.tumours.protocol import ORGANS, Attenuation, Growth, Organ, Part, Wish

Said = TypeVar("Said")
_NUMBER = r"(\d+(?:[.,]\d+)?)"
_MEASURE = re.compile(rf"{_NUMBER}(?:\s*x\s*{_NUMBER})?(?:\s*x\s*{_NUMBER})?\s*-?\s*(mm|cm)\b")


@cache
def vocabulary() -> Mapping[str, tuple[str, str]]:
    """Word without hyphens -> what it says (size, attenuation, kind, organ, part, growth, nothing) and its value.

    These are the rows of words.csv. Sizes are mm: about the steps of SyntheticTumors (radii of 4, 8, 16, 32 mm), the
    largest made to fit most organs; engineering choice.
    """
    with (Path(__file__).parent / "words.csv").open(newline="", encoding="utf-8") as file:
        return MappingProxyType({row["word"]: (row["says"], row["value"]) for row in csv.DictReader(file)})


def read_words(words: str, *, organ: Organ | None = None) -> Wish:
    """Read a wish from a phrase; `organ` is where, when the phrase does not say so.

    A measure ("3 cm", "12 x 9 mm": their mean) goes before a word of size. Raises UsageError E_TUMOUR_WORDS for a word
    that means nothing here (near ones are named), for words that contradict each other, and when no organ is named.
    """
    measures, tokens = _read(words)
    sizes = measures or [float(value) for value in _said("size", tokens)]
    named = _one("organ", [*_said("organ", tokens), *([organ] if organ else [])])
    if named is None:
        raise _refusal("The words do not name an organ.", ORGANS)
    parts = tuple(dict.fromkeys(_said("part", tokens)))
    return Wish(
        organ=cast(Organ, named),
        kind="cyst" if "cyst" in _said("kind", tokens) else "tumour",
        diameter_mm=_one("size", sizes),
        attenuation=cast(Attenuation | None, _one("attenuation", _said("attenuation", tokens))),
        exophytic=cast(Growth | None, _one("way to grow", _said("growth", tokens))),
        parts=cast(tuple[Part, ...], parts) or None,
        words=words,
    )


def organ_named(words: str) -> Organ | None:
    """The organ that a phrase names, None when it names none. Raises UsageError E_TUMOUR_WORDS as `read_words`."""
    return cast(Organ | None, _one("organ", _said("organ", _read(words)[1])))


def _read(words: str) -> tuple[list[float], list[str]]:
    """The measures of a phrase in mm, and its words without hyphens."""
    phrase = words.lower().replace("\N{MULTIPLICATION SIGN}", "x")
    measures = [_mm(match) for match in _MEASURE.finditer(phrase)]
    tokens = [token.replace("-", "") for token in re.findall(r"\w+(?:-\w+)*", _MEASURE.sub(" ", phrase))]
    _refuse_unknown(tokens)
    return measures, tokens


def _said(what: str, tokens: list[str]) -> list[str]:
    return [vocabulary()[token][1] for token in tokens if vocabulary()[token][0] == what]


def _mm(match: re.Match[str]) -> float:
    lengths = [float(one.replace(",", ".")) for one in match.groups()[:3] if one]
    return sum(lengths) / len(lengths) * (10.0 if match.group(4) == "cm" else 1.0)


def _one(what: str, found: list[Said]) -> Said | None:
    if len(set(found)) > 1:
        raise _refusal(f"The words name more than one {what}.", [str(one) for one in found])
    return found[0] if found else None


def _refuse_unknown(tokens: list[str]) -> None:
    known = list(vocabulary())
    strange = [token for token in tokens if token not in vocabulary()]
    if strange:
        near = {word: None for token in strange for word, _, _ in process.extract(token, known, limit=2)}
        raise _refusal(f"{len(strange)} of the words mean nothing here.", list(near))


def _refusal(what: str, words: list[str] | tuple[str, ...]) -> UsageError:
    return UsageError("E_TUMOUR_WORDS", what, f"Choose from words like these: {', '.join(words)}.")
