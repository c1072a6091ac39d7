"""Cutting a text into sentences without cutting its numbers."""

from __future__ import annotations

import re

_END = re.compile(r"[.!?]+[\"')\]]*(?=\s|$)|\n+")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|approx|ca|vs|etc|cf|fig|max|min|dr|st|resp))\.$", re.IGNORECASE)
_ID_END = re.compile(r"\bF\d+\.$")


def split_sentences(text: str) -> list[str]:
    """The sentences of a text in order, stripped, without empty ones; joined by a blank they give the text again.

    A line break ends a sentence. '2.5 mm', '1,523 mL', 'e.g. the liver' and 'approx. 25 mm' do not.
    """
    sentences: list[str] = []
    start = 0
    for end in _END.finditer(text):
        candidate = text[start : end.end()]
        if _ends_inside(candidate, text[end.end() :]):
            continue
        sentences.append(candidate.strip())
        start = end.end()
    sentences.append(text[start:].strip())
    return [sentence for sentence in sentences if sentence]


def _ends_inside(candidate: str, rest: str) -> bool:
    stripped = candidate.rstrip("\n")
    if stripped != candidate or not rest.strip():
        return False
    return bool(_ABBREVIATION.search(stripped)) and not _ID_END.search(stripped)
