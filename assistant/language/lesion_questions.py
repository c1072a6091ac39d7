"""Questions about a lesion that was found: what it is, is it what a word names, is it darker than its organ?"""

from __future__ import annotations

import re
from typing import Literal

from assistant.language.clauses import SLOT, Clause

_IT = r"(?:it|this|that|these|those|they|f\d{1,3})(?: one| lesion| finding)?"
_START = r"(?:(?:and|so|or|but|now|then|well) )*"
_WHAT = re.compile(rf"{_START}what (?:(?:type|kind|sort) )?(?:is|are|could|might|may|can) {_IT}(?: be)?")
_TYPE = rf"(?:(?:a|an) )?(?:\w+ )?{SLOT}"
_BE = r"(?:(?:possibly|perhaps|maybe|really|likely|also) )?(?:be )?"
_WHETHER = re.compile(
    rf"{_START}(?:is|are|could|can|might|may) (?:({_IT})|(?:the|this|that) {SLOT}) {_BE}{_TYPE}(?: or {_TYPE})*"
)
_ATTENUATION = re.compile(
    rf"{_START}(?:is|are) (?:{_IT}|(?:the|this|that) {SLOT}) (?:hypo|hyper|iso)-?(?:dense|attenuating)"
    rf"(?: (?:or|and) (?:hypo|hyper|iso)-?(?:dense|attenuating))*"
)


def asks_what_it_is(clause: Clause) -> bool:
    """'What is it?', 'what could F2 be?'."""
    return _WHAT.fullmatch(clause.full) is not None


def type_asked_of(clause: Clause) -> Literal["", "it", "named"]:
    """Of what a clause asks whether it is what its last mentions name: 'it' in 'could it be HCC?', 'is F1 a cyst?', a
    'named' one in 'is the kidney lesion a cyst?', nothing in any other clause."""
    match = _WHETHER.fullmatch(clause.text)
    if match is None or not all(mention.is_lesion for mention in clause.targets):
        return ""
    return "it" if match[1] else "named"


def asks_attenuation(clause: Clause) -> bool:
    """'Is the lesion hypodense?'."""
    return _ATTENUATION.fullmatch(clause.text) is not None
