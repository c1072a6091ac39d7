"""The tables: types of lesions by the organ that holds them, and the signs that speak for or against each."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from vision.lesion_types.phase import Phase
from vision.structures import by_name

FEATURES = ("core", "difference", "blood", "fat", "size", "number", "cyst")
"""What a sign is read from: HU of the lesion's core; core less organ; core less aorta; the lowest HU of the core,
smoothed; long axis in mm; how many of its kind; 1 where the model calls it a cyst."""
_FOLDER = Path(__file__).parent
_PHASES = frozenset(get_args(Phase)) - {"unknown"}


@dataclass(frozen=True)
class LesionType:
    """What a lesion may be, in an organ or a pair of organs; `settled_by` is the sign that one CT settles it with."""

    name: str
    host: str
    settled_by: str


@dataclass(frozen=True)
class Sign:
    """A range of one feature, both ends included, that adds `points` to a type; in any phase where none is named."""

    type: str
    name: str
    feature: str
    phases: frozenset[str]
    low: float
    high: float
    points: int
    source: str

    def holds(self, value: float, phase: Phase) -> bool:
        """Whether a value has the sign in a CT of this phase."""
        return (not self.phases or phase in self.phases) and self.low <= value <= self.high


def host_of(structure: str) -> str:
    """The organ, or pair of organs, whose types a lesion in `structure` may be of: 'kidneys' for the left kidney."""
    return by_name(structure).pair or structure


def _types() -> tuple[LesionType, ...]:
    return tuple(LesionType(row["name"], row["host"], row["settled_by"]) for row in _rows("types"))


def _signs(types: tuple[LesionType, ...]) -> tuple[Sign, ...]:
    signs = []
    for row in _rows("signs"):
        phases = frozenset(filter(None, row["phases"].split("|")))
        assert row["type"] in {each.name for each in types}, row
        assert row["feature"] in FEATURES, row
        assert phases <= _PHASES, row
        low, high = float(row["low"] or -math.inf), float(row["high"] or math.inf)
        assert low <= high, row
        signs.append(
            Sign(row["type"], row["sign"], row["feature"], phases, low, high, int(row["points"]), row["source"])
        )
    return tuple(signs)


def _rows(name: str) -> list[dict[str, str]]:
    with (_FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


TYPES = _types()
SIGNS = _signs(TYPES)
