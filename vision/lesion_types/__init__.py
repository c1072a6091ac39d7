"""What a lesion may be: signs of types in its measurements, from a table that names the source of every threshold.

A ranking by points, no classifier: nothing here is a probability, and no type is proven by a CT.
"""

from __future__ import annotations

from vision.lesion_types.phase import Phase, phase_of
from vision.lesion_types.rank import Possible, Ranking, rank_types
from vision.lesion_types.table import FEATURES, SIGNS, TYPES, LesionType, Sign, host_of

__all__ = [
    "FEATURES",
    "SIGNS",
    "TYPES",
    "LesionType",
    "Phase",
    "Possible",
    "Ranking",
    "Sign",
    "host_of",
    "phase_of",
    "rank_types",
]
