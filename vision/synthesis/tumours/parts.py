"""Parts of a tumour: necrotic core, capsule, rim, calcification, septa, each painted into its HU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vision.synthesis.tumours.fields import smooth_field
from vision.synthesis.tumours.protocol import Part, Settled, Spacing

NECROSIS_HU = (8.0, 28.0)
"""Between the fluid of a cyst (0 to 15 HU, hu_and_sizes 5c) and a poorly perfused tumour; engineering choice."""
NECROSIS_SHARE = (0.4, 0.65)
RIM_HU = (12.0, 28.0)
"""About +20 HU (hu_and_sizes 5c, liver metastasis, late arterial)."""
CAPSULE_HU = (15.0, 40.0)
WALL_SHARE = 0.7
SEPTA_HU = (25.0, 50.0)
CALCIFICATION_HU = (180.0, 550.0)
SPECK_EVERY_MM = 12.0
RIM_MM, CAPSULE_MM, SEPTA_MM, CALCIFICATION_MM = (2.0, 4.0), (1.0, 1.8), (0.5, 0.9), (0.6, 1.8)


@dataclass(frozen=True)
class Body:
    """A grown tumour that parts are painted into: its mask, its level and the level of its surface, on one crop."""

    mask: NDArray[np.bool_]
    level: NDArray[np.float32]
    surface: float
    spacing: Spacing
    settled: Settled

    @property
    def depth_mm(self) -> NDArray[np.float32]:
        """(I, J, K) float32 mm below the surface, roughly: levels times the radius; negative outside."""
        return (self.surface - self.level) * np.float32(self.settled.diameter_mm / 2)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of the crop."""
        i, j, k = self.mask.shape
        return i, j, k


def paint_part(part: Part, hu: NDArray[np.float32], body: Body, rng: np.random.Generator) -> NDArray[np.float32]:
    """HU (I, J, K) of the tumour with one part more."""
    match part:
        case "necrotic core":
            return _necrosis(hu, body, rng)
        case "capsule":
            return _shell(hu, body, rng.uniform(*CAPSULE_MM), _wall_hu(CAPSULE_HU, body, rng))
        case "rim":
            return _shell(hu, body, rng.uniform(*RIM_MM), _wall_hu(RIM_HU, body, rng))
        case "septa":
            return _septa(hu, body, rng)
        case "calcification":
            return _calcification(hu, body, rng)


def _necrosis(hu: NDArray[np.float32], body: Body, rng: np.random.Generator) -> NDArray[np.float32]:
    """Fluid with ragged borders in the middle, darker than the tumour round it in any case."""
    radius = body.settled.diameter_mm / 2
    ragged = body.level + 0.16 * smooth_field(body.shape, body.spacing, max(radius / 2.5, 2.0), rng)
    tumour_hu = body.settled.organ_hu + body.settled.contrast_hu
    target = min(rng.uniform(*NECROSIS_HU), tumour_hu - 10.0)
    depth = np.asarray(rng.uniform(*NECROSIS_SHARE) * body.surface - ragged, dtype=np.float32) * np.float32(radius)
    inside = _ramp(depth, width_mm=max(2.5, 0.25 * radius))
    return hu + inside * np.float32(target - tumour_hu)


def _wall_hu(brighter: tuple[float, float], body: Body, rng: np.random.Generator) -> float:
    """HU of a wall above the tumour's; of a dark tumour it stays below the organ's, so that the whole stays dark."""
    drawn = float(rng.uniform(*brighter))
    dark = body.settled.attenuation == "hypo"
    return min(drawn, WALL_SHARE * -body.settled.contrast_hu) if dark else drawn


def _shell(hu: NDArray[np.float32], body: Body, thickness_mm: float, brighter_hu: float) -> NDArray[np.float32]:
    """A brighter layer below the surface, at least a voxel thick."""
    depth = body.depth_mm
    thickness = max(thickness_mm, min(body.spacing))
    return hu + _ramp(np.float32(thickness) - depth, width_mm=thickness / 2) * np.float32(brighter_hu)


def _septa(hu: NDArray[np.float32], body: Body, rng: np.random.Generator) -> NDArray[np.float32]:
    """Thin brighter walls where smooth fields cross zero: distance is the field over its slope."""
    width = 0.7 * body.settled.diameter_mm
    thickness = max(rng.uniform(*SEPTA_MM), min(body.spacing) / 2)
    walls = np.zeros(body.shape, dtype=np.float32)
    for _ in range(int(rng.integers(1, 4))):
        distance = np.abs(smooth_field(body.shape, body.spacing, width, rng)) * np.float32(0.7 * width)
        np.maximum(walls, _ramp(thickness - distance, width_mm=thickness), out=walls)
    return hu + walls * np.float32(rng.uniform(*SEPTA_HU))


def _calcification(hu: NDArray[np.float32], body: Body, rng: np.random.Generator) -> NDArray[np.float32]:
    """One to five specks inside, fewer in a small tumour, each at least its own voxel."""
    places = np.argwhere(body.mask)
    painted = hu.copy()
    for _ in range(min(int(rng.integers(1, 6)), 1 + int(body.settled.diameter_mm / SPECK_EVERY_MM))):
        at = places[int(rng.integers(len(places)))]
        radius = min(rng.uniform(*CALCIFICATION_MM), 0.05 * body.settled.diameter_mm)
        height = np.float32(rng.uniform(*CALCIFICATION_HU))
        squared = np.zeros((1, 1, 1), dtype=np.float32)
        for axis, (count, step) in enumerate(zip(body.shape, body.spacing, strict=True)):
            along = np.square((np.arange(count, dtype=np.float32) - at[axis]) * np.float32(step))
            squared = squared + along.reshape([-1 if other == axis else 1 for other in range(3)])
        painted += np.exp(-squared / np.float32(2 * max(radius, 0.3) ** 2)) * height
    return painted


def _ramp(distance_mm: NDArray[np.float32], *, width_mm: float) -> NDArray[np.float32]:
    """0 outside, 1 inside, linear over `width_mm` round a distance of 0."""
    ramp: NDArray[np.float32] = np.clip(distance_mm / np.float32(width_mm) + np.float32(0.5), 0, 1)
    return ramp
