"""Sentences that state nothing measured: refusals, help, what the assistant can do. Matched whole, word for word."""

from __future__ import annotations

import re
from functools import cache

from assistant.grounding.sentences import split_sentences
from prompts.replies import CLOSED_WORDS, FIXED, REPLIES, STRUCTURE_LISTS
from vision.structures import STRUCTURES

_SLOT = re.compile(r"\\\{(\w+)\\\}")


def is_fixed_sentence(sentence: str) -> bool:
    """Whether a sentence is one of `prompts.replies.FIXED`, its word slots filled from their vocabularies only."""
    return any(pattern.fullmatch(sentence) for pattern in _patterns())


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    sentences = dict.fromkeys(sentence for name in FIXED for sentence in split_sentences(REPLIES[name]))
    return tuple(re.compile(_SLOT.sub(_words_of, re.escape(sentence))) for sentence in sentences)


def _words_of(slot: re.Match[str]) -> str:
    if slot[1] in STRUCTURE_LISTS:
        name = "|".join(sorted((re.escape(row.spoken) for row in STRUCTURES), key=len, reverse=True))
        return rf"(?:{name})(?:(?:, | and )(?:{name}))*"
    return rf"(?:{'|'.join(map(re.escape, CLOSED_WORDS[slot[1]]))})"
