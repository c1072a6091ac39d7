"""From a wish with open ends to a settled one: what was not said is drawn from the presets.

In steps, because a place needs the size and the contrast needs the place: `draw_preset`, `size`, `growth`, then
`settle_as`; `settle` is all of them for where no place has to be found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vision.errors import UsageError
from vision.synthesis.tumours.presets import NATIVE_BELOW_HU, Preset, Range
from vision.synthesis.tumours.protocol import Growth, Part, Settled, Voxel, Wish

SMALLEST_MM, LARGEST_MM = 2.0, 150.0
NECROSIS_FROM_MM = 18.0
WALL_FROM_MM = 8.0
CAPSULE_FROM_MM = 15.0
"""A smaller one would be mostly capsule, as bright as its organ."""
STICKS_OUT_FROM_MM = 12.0
"""A kidney's tumours stick out from the medium size on (DiffTumor); smaller ones hardly can."""
LEAST_STEP_HU = 4.0
DARKEST_SOLID_HU = 8.0
EDGE_SHARE = 0.12


def draw_preset(wish: Wish, presets: Sequence[Preset], rng: np.random.Generator) -> Preset:
    """Draw a preset of the wish's organ, kind and attenuation by its share.

    Rows with share 0 are drawn only when no other fits, that is on request. Raises UsageError E_TUMOUR_PRESET when
    there is none, as for a cyst of the colon.
    """
    fitting = [
        row
        for row in presets
        if row.organ == wish.organ and row.kind == wish.kind and wish.attenuation in (None, row.attenuation)
    ]
    if not fitting:
        raise UsageError(
            "E_TUMOUR_PRESET",
            f"Nothing is known of how a {wish.kind} of the {wish.organ} looks.",
            "Ask for a tumour, or for another organ.",
        )
    shares = np.array([row.share for row in fitting])
    if not shares.any():
        shares = np.ones(len(fitting))
    return fitting[int(rng.choice(len(fitting), p=shares / shares.sum()))]


def size(wish: Wish, preset: Preset, rng: np.random.Generator) -> float:
    """The wished diameter in mm, else one drawn from the preset, small ones more often (uniform in its logarithm).

    Raises UsageError E_TUMOUR_SIZE outside 2 to 150 mm.
    """
    low, high = preset.diameter_mm
    drawn = math.exp(rng.uniform(math.log(low), math.log(high)))
    diameter = drawn if wish.diameter_mm is None else float(wish.diameter_mm)
    if not SMALLEST_MM <= diameter <= LARGEST_MM:
        raise UsageError(
            "E_TUMOUR_SIZE",
            f"A tumour of {diameter:g} mm cannot be painted.",
            f"Ask for {SMALLEST_MM:g} to {LARGEST_MM:g} mm.",
        )
    return diameter


def growth(wish: Wish, preset: Preset, diameter_mm: float, rng: np.random.Generator) -> Growth:
    """Whether it may stick out: as wished, else by the preset's share from 12 mm on."""
    sticks_out = rng.random() < preset.sticks_out and diameter_mm >= STICKS_OUT_FROM_MM
    return wish.exophytic or ("may_stick_out" if sticks_out else "inside")


def settle(
    wish: Wish,
    presets: Sequence[Preset],
    rng: np.random.Generator,
    *,
    organ_hu: float = 100.0,
    centre: Voxel = (0, 0, 0),
) -> Settled:
    """Settle everything that the wish leaves open; `organ_hu` is the organ's HU near `centre`, a voxel of the crop."""
    preset = draw_preset(wish, presets, rng)
    diameter = size(wish, preset, rng)
    grown = replace(wish, exophytic=growth(wish, preset, diameter, rng))
    return settle_as(grown, preset, diameter, rng, organ_hu=organ_hu, centre=centre)


def settle_as(
    wish: Wish, preset: Preset, diameter_mm: float, rng: np.random.Generator, *, organ_hu: float, centre: Voxel
) -> Settled:
    """Settle contrast, texture, edge and parts of a wish whose preset, diameter and growth are drawn."""
    contrast = _contrast(preset, organ_hu, rng)
    texture = float(rng.uniform(*preset.texture_hu))
    edge = min(float(rng.uniform(*preset.edge_mm)), EDGE_SHARE * diameter_mm)
    drawn = _parts(preset, diameter_mm, rng)
    return Settled(
        organ=wish.organ,
        kind=wish.kind,
        preset=preset.name,
        diameter_mm=diameter_mm,
        attenuation=preset.attenuation,
        exophytic=wish.exophytic or "inside",
        centre=centre,
        organ_hu=organ_hu,
        contrast_hu=contrast,
        texture_hu=texture,
        edge_mm=edge,
        parts=drawn if wish.parts is None else wish.parts,
    )


def _contrast(preset: Preset, organ_hu: float, rng: np.random.Generator) -> float:
    """HU against the organ; a solid tumour is never darker than fluid, and the sign is always that of the words."""
    native = organ_hu < NATIVE_BELOW_HU[preset.organ]
    spread: Range = preset.native_hu if native else preset.contrast_hu
    drawn = float(rng.uniform(*spread))
    if preset.reference == "water":
        drawn -= organ_hu
    elif preset.attenuation == "hypo":
        drawn = max(drawn, DARKEST_SOLID_HU - organ_hu)
    if preset.attenuation == "hypo":
        return min(drawn, -LEAST_STEP_HU)
    return max(drawn, LEAST_STEP_HU) if preset.attenuation == "hyper" else drawn


def _parts(preset: Preset, diameter_mm: float, rng: np.random.Generator) -> tuple[Part, ...]:
    """Parts drawn by their probabilities; a necrotic core takes a size, and so do walls inside and around."""
    chances = rng.random(len(preset.parts))
    smallest: dict[Part, float] = {
        "necrotic core": NECROSIS_FROM_MM,
        "capsule": CAPSULE_FROM_MM,
        "rim": WALL_FROM_MM,
        "septa": WALL_FROM_MM,
        "calcification": 0.0,
    }
    return tuple(
        part
        for (part, chance), draw in zip(preset.parts.items(), chances, strict=True)
        if draw < chance and diameter_mm >= smallest[part]
    )
