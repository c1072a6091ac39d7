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
35 to 55, 250 to 420 and 120 to 190 HU in the sampling ranges of 120 kVp, 90 to 130 in delayed phase
(hu_and_sizes 5c)."""
LIVER_HU = 100.0
"""Median from which a liver has taken up more than in arterial phase, 65 to 95 HU (as above), however bright the aorta
is: portal venous aortas of up to 255 HU were measured (hu_and_sizes 5a)."""


def phase_of(recorded: str, aorta_hu: float | None, liver_hu: float | None = None) -> Phase:
    """The phase that the file records ('' for none), else the one that the medians of aorta and liver point to.

    'unknown' where there is neither record nor aorta. The estimate is rough: between portal venous and delayed phase
    the ranges overlap.
    """
    if recorded in RECORDED:
        return RECORDED[recorded]
    if aorta_hu is None:
        return "unknown"
    if aorta_hu < UNENHANCED_HU:
        return "native"
    if aorta_hu >= ARTERIAL_HU and (liver_hu is None or liver_hu < LIVER_HU):
        return "arterial"
    return "portal" if aorta_hu >= PORTAL_HU else "delayed"
