"""The few facts of a DICOM header that may be carried on: numbers, and words of our own choosing. Never its text."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

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


def facts_of(dataset: Dataset, groups: list[Dataset]) -> dict[str, str | float | int]:
    """kvp, slice_thickness_mm, kernel ('soft', 'sharp'), contrast_delay_s and phase, each only when it is certain."""
    facts: dict[str, str | float | int] = {}
    for name, keyword, low, high in (
        ("kvp", "KVP", 30.0, 300.0),
        ("slice_thickness_mm", "SliceThickness", 0.05, 50.0),
    ):
        value = _number(_first(dataset, groups, keyword))
        if value is not None and low <= value <= high:
            facts[name] = value
    kernel = kernel_class(_first(dataset, groups, "ConvolutionKernel"))
    if kernel is not None:
        facts["kernel"] = kernel
    delay = _delay_seconds(dataset)
    phase = PHASES.get(str(_first(dataset, groups, "ContrastBolusAgentPhase") or "").strip().upper())
    if delay is not None:
        facts["contrast_delay_s"] = delay
        phase = phase or next((name for name, low, high in PHASE_AFTER_SECONDS if low <= delay <= high), None)
    if phase is not None:
        facts["phase"] = phase
    return facts


def kernel_class(value: Any) -> str | None:
    """'soft' or 'sharp' from a reconstruction kernel's code, None when the code is not known.

    Siemens codes (Br38f, B30s, I70f) carry their sharpness as a number; GE's and Philips's are words and letters.
    """
    first = value if isinstance(value, str) else (next(iter(value)) if value else "")
    code = str(first).strip().upper()
    if code in _SOFT:
        return "soft"
    if code in _SHARP:
        return "sharp"
    siemens = re.fullmatch(r"[BHTUIQ][A-Z]?(\d{2})[A-Z]?", code)
    if siemens is None:
        return None
    return "sharp" if int(siemens.group(1)) >= SHARP_FROM else "soft"


def _first(dataset: Dataset, groups: list[Dataset], keyword: str) -> Any:
    return next((group[keyword].value for group in (*groups, dataset) if keyword in group), None)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _delay_seconds(dataset: Dataset) -> float | None:
    """Seconds from ContrastBolusStartTime (0018,1042) to AcquisitionTime (0008,0032)."""
    start = _clock(dataset.get("ContrastBolusStartTime"))
    scan = _clock(dataset.get("AcquisitionTime"))
    if start is None or scan is None:
        return None
    delay = (scan - start).total_seconds()
    return round(delay, 1) if 0 < delay < 3600 else None


def _clock(value: Any) -> datetime | None:
    text = str(value or "").split(".")[0].strip()
    try:
        return datetime.strptime(text, "%H%M%S")
    except ValueError:
        return None
