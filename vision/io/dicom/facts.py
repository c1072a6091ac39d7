"""The few facts of a DICOM header that may be carried on: numbers, and words of our own choosing. Never its text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from vision.io.dicom.tags import numbers, word, words

if TYPE_CHECKING:
    from pydicom import Dataset

PHASES = {
    "PRE_CONTRAST": "non_contrast",
    "ARTERIAL": "arterial",
    "PORTAL_VENOUS": "portal_venous",
    "DELAYED": "delayed",
    "EQUILIBRIUM": "delayed",
}
"""Contrast/Bolus Agent Phase (0018,9344) to our words."""

PHASE_AFTER_SECONDS = (("arterial", 18.0, 45.0), ("portal_venous", 55.0, 110.0), ("delayed", 150.0, 900.0))
"""Scan delay after the start of the injection; usual abdominal protocols. Delays in between name no phase."""

SHARP_FROM = 50
_SOFT = frozenset({"STANDARD", "SOFT", "A", "B", "C"})
_SHARP = frozenset({"LUNG", "BONE", "BONEPLUS", "EDGE", "DETAIL", "CHST", "D", "L", "YA", "YB", "YC", "YD"})


def facts_of(places: Sequence[Dataset]) -> dict[str, str | float | int]:
    """kvp, slice_thickness_mm, kernel ('soft', 'sharp'), contrast_delay_s and phase, each only when it is certain.

    `places` are the datasets in which a tag may stand, the first that has it counts.
    """
    facts: dict[str, str | float | int] = {}
    for name, keyword, low, high in (
        ("kvp", "KVP", 30.0, 300.0),
        ("slice_thickness_mm", "SliceThickness", 0.05, 50.0),
    ):
        values = numbers(places, keyword)
        if len(values) == 1 and low <= values[0] <= high:
            facts[name] = values[0]
    kernel = kernel_class(words(places, "ConvolutionKernel")[:1])
    if kernel is not None:
        facts["kernel"] = kernel
    delay = _delay_seconds(places)
    phase = PHASES.get(word(places, "ContrastBolusAgentPhase").upper())
    if delay is not None:
        facts["contrast_delay_s"] = delay
        phase = phase or next((name for name, low, high in PHASE_AFTER_SECONDS if low <= delay <= high), None)
    if phase is not None:
        facts["phase"] = phase
    return facts


@lru_cache(maxsize=64)
def kernel_class(codes: tuple[str, ...]) -> str | None:
    """'soft' or 'sharp' from the first of a reconstruction kernel's codes in capitals, None when it is not known.

    Siemens codes (BR38F, B30S, I70F) carry their sharpness as a number; GE's and Philips's are words and letters.
    """
    code = next(iter(codes), "")
    if code in _SOFT:
        return "soft"
    if code in _SHARP:
        return "sharp"
    siemens = re.fullmatch(r"[BHTUIQ][A-Z]?(\d{2})[A-Z]?", code)
    if siemens is None:
        return None
    return "sharp" if int(siemens.group(1)) >= SHARP_FROM else "soft"


def _delay_seconds(places: Sequence[Dataset]) -> float | None:
    """Seconds from ContrastBolusStartTime (0018,1042) to AcquisitionTime (0008,0032)."""
    start = _clock_seconds(word(places, "ContrastBolusStartTime"))
    scan = _clock_seconds(word(places, "AcquisitionTime"))
    if start is None or scan is None:
        return None
    return float(scan - start) if 0 < scan - start < 3600 else None


def _clock_seconds(text: str) -> int | None:
    """HHMMSS with or without fractions, which are dropped, to seconds since midnight."""
    clock = re.fullmatch(r"([01]\d|2[0-3])([0-5]\d)([0-5]\d)(\.\d*)?", text)
    return None if clock is None else int(clock[1]) * 3600 + int(clock[2]) * 60 + int(clock[3])
