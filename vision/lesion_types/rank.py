"""Ranking: which types fit what was measured of a lesion, what speaks for and against each, and what stays open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from vision.lesion_types.phase import Phase
from vision.lesion_types.table import SIGNS, TYPES, LesionType, Sign

Open = Literal["", "one phase", "no contrast", "ct"]
"""Why it cannot be told which of the types it is: '' where a sign settles it."""


@dataclass(frozen=True)
class Possible:
    """One type with its points and the signs found for and against it; no probability."""

    type: LesionType
    points: int
    supports: tuple[Sign, ...]
    against: tuple[Sign, ...]

    @property
    def settled(self) -> bool:
        """Whether the sign that settles this type was found, and none against it."""
        return not self.against and any(sign.name == self.type.settled_by for sign in self.supports)


@dataclass(frozen=True)
class Ranking:
    """All types of an organ, what fits best first, and why it stays open which one it is."""

    possible: tuple[Possible, ...]
    open: Open


def rank_types(host: str, features: Mapping[str, float], phase: Phase) -> Ranking:
    """Rank the types of a host by the points of their signs, those of equal points in the order of the table.

    `features` holds those of `FEATURES` that could be measured; a sign of one that is missing is not found. Of the
    signs of one type on one feature only the first that holds counts. A host without types gives an empty ranking.
    """
    found = [_possible(each, features, phase) for each in TYPES if each.host == host]
    ranked = tuple(sorted(found, key=lambda possible: -possible.points))
    return Ranking(ranked, _open(host, ranked, phase))


def _possible(kind: LesionType, features: Mapping[str, float], phase: Phase) -> Possible:
    held: dict[str, Sign] = {}
    for sign in SIGNS:
        if sign.type == kind.name and sign.feature in features and sign.holds(features[sign.feature], phase):
            held.setdefault(sign.feature, sign)
    supports = tuple(sign for sign in held.values() if sign.points > 0)
    against = tuple(sign for sign in held.values() if sign.points < 0)
    return Possible(kind, sum(sign.points for sign in held.values()), supports, against)


def _open(host: str, ranked: tuple[Possible, ...], phase: Phase) -> Open:
    if ranked and ranked[0].settled:
        return ""
    if host == "colon":
        return "ct"
    return "no contrast" if phase == "native" else "one phase"
