"""Where the midline of the body runs, from the structures that lie on it, and facts about the order of organs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

MIDLINE = (("aorta", "postcava"), ("bladder", "prostate", "rectum"), ("esophagus",))
"""Groups of structures whose mean lies on the midline; the first group with all or some of its members seen is used."""

Centre = tuple[float, float, float]
"""RAS+ mm."""

AXES = {"right of": 0, "in front of": 1, "above": 2}
ORDER = (
    ("liver", "right of", "spleen"),
    ("liver", "right of", "stomach"),
    ("postcava", "right of", "aorta"),
    ("gall_bladder", "right of", "stomach"),
    ("kidney_right", "right of", "kidney_left"),
    ("adrenal_gland_right", "right of", "adrenal_gland_left"),
    ("lung_right", "right of", "lung_left"),
    ("femur_right", "right of", "femur_left"),
    ("adrenal_gland_left", "above", "kidney_left"),
    ("adrenal_gland_right", "above", "kidney_right"),
    ("lung_left", "above", "spleen"),
    ("lung_right", "above", "liver"),
    ("esophagus", "above", "duodenum"),
    ("liver", "above", "bladder"),
    ("kidney_left", "above", "bladder"),
    ("kidney_right", "above", "bladder"),
    ("bladder", "above", "prostate"),
    ("pancreas", "in front of", "aorta"),
    ("bladder", "in front of", "rectum"),
    ("prostate", "in front of", "rectum"),
)
"""How the centres of two structures lie in an adult who is neither mirrored nor operated on."""


@dataclass(frozen=True)
class OrderFact:
    """One row of `ORDER` in one CT: `gap_mm` between the centres along the axis, negative when it does not hold."""

    first: str
    relation: str
    second: str
    gap_mm: float

    @property
    def holds(self) -> bool:
        return self.gap_mm > 0


def check_order(centres_mm: Mapping[str, Centre]) -> tuple[OrderFact, ...]:
    """The facts about every pair of `ORDER` of which both were found, in the order of the table."""
    return tuple(
        OrderFact(first, relation, second, centres_mm[first][AXES[relation]] - centres_mm[second][AXES[relation]])
        for first, relation, second in ORDER
        if first in centres_mm and second in centres_mm
    )


def find_midline(centres_mm: Mapping[str, float]) -> float | None:
    """Where the midline lies along the right-left axis, from the places of structures on it; None without any."""
    for group in MIDLINE:
        found = [centres_mm[name] for name in group if name in centres_mm]
        if found:
            return float(np.mean(found))
    return None


def beyond_midline(positions_mm: np.ndarray, midline_mm: float, *, side: str) -> np.ndarray:
    """How far positions along the axis to the patient's right lie beyond the midline as seen from `side`."""
    return positions_mm - midline_mm if side == "left" else midline_mm - positions_mm
