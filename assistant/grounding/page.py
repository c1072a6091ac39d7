"""A sentence while it is read: what a rule understood is blanked, so that nothing counts twice."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from assistant.grounding.lexicon import GENERIC, Mention, is_lesion

Kind = Literal[
    "number",
    "pair",
    "count",
    "side",
    "part",
    "segments",
    "slices",
    "confidence",
    "cut",
    "no_size",
    "range",
    "organ",
    "suspected",
    "attenuation",
    "against",
    "touch",
    "lobes",
    "touching",
]
Standing = Literal["present", "absent", "not assessable", "cut"]
"""What a sentence says of a subject as a whole."""

OF_LESIONS: frozenset[Kind] = frozenset({"organ", "attenuation", "against", "touch", "lobes", "touching"})
"""Kinds of claims that only a lesion is the subject of."""
ADJECTIVES = r"(?:(?:suspected|possible|potential|likely|separate|distinct|candidate) )*"
_BEFORE_SUBJECT = re.compile(rf"\s*(?:-sided )?{ADJECTIVES}")


@dataclass(frozen=True)
class Claim:
    """One checkable statement at [start, end). `value` is text as read, `about` the index of its subject or None."""

    kind: Kind
    value: tuple[str, ...]
    start: int
    end: int
    quantity: tuple[str, ...] = ()
    about: int | None = None


@dataclass
class Page:
    """The text still to be understood, the claims found so far, and what no rule covers."""

    text: str
    claims: list[Claim] = field(default_factory=list)
    uncovered: list[str] = field(default_factory=list)

    def take(self, pattern: re.Pattern[str]) -> list[re.Match[str]]:
        """All matches of a pattern, each blanked."""
        matches = list(pattern.finditer(self.text))
        for match in matches:
            self.blank(match.start(), match.end())
        return matches

    def refuse(self, pattern: re.Pattern[str], why: str) -> None:
        """Take all matches of a pattern as not covered."""
        self.uncovered += [f"'{match.group()}' {why}" for match in self.take(pattern)]

    def blank(self, start: int, end: int) -> None:
        """Forget what stands at [start, end)."""
        self.text = f"{self.text[:start]}{' ' * (end - start)}{self.text[end:]}"


def names_lesion(mention: Mention) -> bool:
    """Whether a mention can only mean lesions, or one finding by its id."""
    return mention.finding is not None or all(name == GENERIC or is_lesion(name) for name in mention.names)


def bound(claim: Claim, subjects: list[Mention], text: str) -> Claim:
    """A claim with the subject it is about: the one right after it, else the nearest before, else the next.

    Where a lesion lies and what it looks like is said of the lesion, not of another subject between.
    """
    if claim.about is not None:
        return claim
    fitting = [at for at, subject in enumerate(subjects) if claim.kind not in OF_LESIONS or names_lesion(subject)]
    after = next((at for at in fitting if subjects[at].start >= claim.end), None)
    before = next((at for at in reversed(fitting) if subjects[at].end <= claim.start), None)
    if after is not None and (before is None or _BEFORE_SUBJECT.fullmatch(text[claim.end : subjects[after].start])):
        return replace(claim, about=after)
    return replace(claim, about=before)
