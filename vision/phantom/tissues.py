"""Mean Hounsfield units of tissues per contrast phase, as ranges to draw from."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

PHASES = ("non_contrast", "late_arterial", "portal_venous", "delayed")
Range = tuple[float, float]

BY_PHASE: MappingProxyType[str, tuple[Range, Range, Range, Range]] = MappingProxyType(
    {
        "liver": ((50, 68), (65, 95), (90, 130), (75, 105)),
        "spleen": ((40, 58), (100, 180), (95, 140), (75, 105)),
        "pancreas": ((30, 50), (85, 130), (70, 115), (60, 90)),
        "kidney_cortex": ((28, 42), (170, 260), (140, 220), (100, 170)),
        "kidney_medulla": ((25, 40), (50, 110), (120, 200), (110, 180)),
        "kidney_pelvis": ((0, 15), (0, 20), (0, 30), (200, 500)),
        "artery": ((35, 55), (250, 420), (120, 190), (90, 130)),
        "postcava_low": ((35, 55), (40, 90), (90, 160), (90, 130)),
        "postcava_high": ((35, 55), (120, 200), (110, 180), (90, 130)),
        "portal_vein": ((35, 55), (90, 165), (140, 200), (90, 130)),
        "hepatic_vein": ((35, 55), (45, 80), (130, 190), (90, 130)),
        "adrenal": ((10, 40), (50, 90), (50, 90), (40, 70)),
        "bowel_wall": ((25, 45), (60, 110), (60, 110), (50, 90)),
        "muscle": ((40, 62), (45, 65), (50, 70), (50, 70)),
    }
)
"""Ranges of the mean HU in the order of PHASES; consistent with published phase-wise measurements of adults."""

CONSTANT: MappingProxyType[str, Range] = MappingProxyType(
    {
        "bile": (0, 20),
        "subcutaneous_fat": (-115, -92),
        "visceral_fat": (-110, -88),
        "lung": (-880, -780),
        "spongiosa": (110, 240),
        "cortical_bone": (450, 900),
        "disc": (75, 115),
        "gas": (-1000, -940),
        "gastric_content": (0, 40),
        "stool": (-20, 60),
        "chyme": (0, 45),
        "skin": (10, 50),
        "spinal_canal": (10, 35),
        "table_foam": (-960, -900),
        "table_shell": (-120, 40),
    }
)
"""Ranges of the mean HU of tissues that do not change with the phase."""

LESION_CONTRAST: MappingProxyType[str, tuple[Range, Range, Range, Range]] = MappingProxyType(
    {
        "hypo": ((-20, -10), (-65, -35), (-60, -35), (-35, -22)),
        "hyper": ((12, 25), (25, 60), (25, 45), (15, 30)),
    }
)
"""Mean HU of a lesion minus that of its organ, in the order of PHASES."""


STEATOSIS_SHARE, STEATOSIS_DROP = 0.2, (15.0, 45.0)
"""Share of fatty livers and by how many HU they are darker than the range above."""


def draw_tissues(rng: np.random.Generator, phase: str) -> dict[str, float]:
    """Draw one mean HU a tissue, one liver in five fatty. Raises ValueError for an unknown phase."""
    if phase not in PHASES:
        raise ValueError(f"phase is one of {', '.join(PHASES)}, got {phase!r}")
    column = PHASES.index(phase)
    drawn = {name: float(rng.uniform(*ranges[column])) for name, ranges in BY_PHASE.items()}
    if rng.random() < STEATOSIS_SHARE:
        drawn["liver"] -= float(rng.uniform(*STEATOSIS_DROP))
    drawn.update({name: float(rng.uniform(*limits)) for name, limits in CONSTANT.items()})
    return drawn


def typical_tissues(phase: str) -> dict[str, float]:
    """The middle of every range. Raises ValueError for an unknown phase."""
    if phase not in PHASES:
        raise ValueError(f"phase is one of {', '.join(PHASES)}, got {phase!r}")
    column = PHASES.index(phase)
    middle = {name: sum(ranges[column]) / 2 for name, ranges in BY_PHASE.items()}
    middle.update({name: sum(limits) / 2 for name, limits in CONSTANT.items()})
    return middle
