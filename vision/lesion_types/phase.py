"""The contrast phase that the signs of a lesion are read in."""

from __future__ import annotations

from typing import Literal

Phase = Literal["native", "arterial", "portal", "delayed", "unknown"]

RECORDED: dict[str, Phase] = {
    "non_contrast": "native",
    "arterial": "arterial",
    "late_arterial": "arterial",
    "portal_venous": "portal",
    "delayed": "delayed",
}
UNENHANCED_HU, ARTERIAL_HU, PORTAL_HU = 75.0, 220.0, 120.0
"""Median of the aorta below or above which a CT without a recorded phase is read as native, arterial or portal venous:
35 to 55, 250 to 420 and 120 to 190 HU in the sampling ranges of 120 kVp, 90 to 130 in delayed phase."""


def phase_of(recorded: str, aorta_hu: float | None) -> Phase:
    """The phase that the file records ('' for none), else the one that the median of the aorta points to.

    'unknown' where there is neither. An estimate from one vessel is rough: between portal venous and delayed phase the
    ranges overlap.
    """
    if recorded in RECORDED:
        return RECORDED[recorded]
    if aorta_hu is None:
        return "unknown"
    if aorta_hu < UNENHANCED_HU:
        return "native"
    return "arterial" if aorta_hu >= ARTERIAL_HU else "portal" if aorta_hu >= PORTAL_HU else "delayed"
