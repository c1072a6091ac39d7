"""What is known about a phantom: the lesions asked for, and the truth about the ones made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vision.geometry import CTVolume, Mask

PARTS = {
    "pancreas_lesion": ("head", "body", "tail"),
    "kidney_lesion": ("left", "right"),
    "liver_lesion": ("right", "left"),
}


@dataclass(frozen=True)
class Lesion:
    """A lesion to make: an ellipsoid with its longest axis in the axial plane.

    `long_axis_mm` is the RECIST long axis. `short_ratio` and `height_ratio` are the perpendicular in-plane axis and
    the vertical axis over it, at most 1. `angle_degrees` turns the long axis from the patient's Right to Anterior.
    `attenuation` is 'hypo' or 'hyper'. Raises ValueError for values that cannot be made.
    """

    structure: str
    part: str
    long_axis_mm: float
    short_ratio: float = 0.8
    height_ratio: float = 0.9
    angle_degrees: float = 30.0
    attenuation: str = "hypo"

    def __post_init__(self) -> None:
        if self.structure not in PARTS:
            raise ValueError(f"a lesion is one of {', '.join(PARTS)}, got {self.structure!r}")
        if self.part not in PARTS[self.structure]:
            raise ValueError(f"a {self.structure} lies in {' or '.join(PARTS[self.structure])}, got {self.part!r}")
        if not 2 <= self.long_axis_mm <= 100:
            raise ValueError(f"a long axis is 2 to 100 mm, got {self.long_axis_mm}")
        if not (0.2 <= self.short_ratio <= 1 and 0.2 <= self.height_ratio <= 1):
            raise ValueError(f"axis ratios are 0.2 to 1, got {self.short_ratio} and {self.height_ratio}")
        if self.attenuation not in ("hypo", "hyper"):
            raise ValueError(f"attenuation is hypo or hyper, got {self.attenuation!r}")


@dataclass(frozen=True)
class LesionTruth:
    """The exact facts of one lesion. Lengths in mm, `centre_mm` in RAS+ mm, HU before noise."""

    structure: str
    organ: str
    part: str
    centre_mm: tuple[float, float, float]
    long_axis_mm: float
    short_axis_mm: float
    height_mm: float
    angle_degrees: float
    volume_ml: float
    mean_hu: float
    organ_hu: float
    attenuation: str


@dataclass(frozen=True)
class PhantomTruth:
    """What a phantom was made with: its seed, phase, lesions, mean HU per tissue and noise SD in HU."""

    seed: int
    phase: str
    lesions: tuple[LesionTruth, ...]
    tissue_hu: Mapping[str, float]
    noise_hu: float


@dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic CT, its exact masks by structure name, and what it was made with."""

    ct: CTVolume
    masks: Mapping[str, Mask]
    truth: PhantomTruth


def ellipsoid_ml(long_axis_mm: float, short_axis_mm: float, height_mm: float) -> float:
    """Volume of an ellipsoid from its three full axes."""
    return math.pi / 6 * long_axis_mm * short_axis_mm * height_mm / 1000


def lesion_distance(offset_mm: tuple[np.ndarray, np.ndarray, np.ndarray], truth: LesionTruth) -> np.ndarray:
    """First-order signed distance in mm to a lesion's surface; `offset_mm` are RAS+ positions minus its centre."""
    angle = math.radians(truth.angle_degrees)
    x, y, z = offset_mm
    along = x * math.cos(angle) + y * math.sin(angle)
    across = y * math.cos(angle) - x * math.sin(angle)
    axes = (truth.long_axis_mm / 2, truth.short_axis_mm / 2, truth.height_mm / 2)
    a, b, c = along / axes[0], across / axes[1], z / axes[2]
    k0 = np.sqrt(a**2 + b**2 + c**2)
    k1 = np.sqrt((a / axes[0]) ** 2 + (b / axes[1]) ** 2 + (c / axes[2]) ** 2)
    floor = np.maximum(k0, 1e-6)
    return floor * (k0 - 1) / np.maximum(k1, floor / max(axes))
