"""One completed anatomy to one CT of it, drawn at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from vision.synthesis.anatomy.attenuation import Attenuation, draw_attenuation
from vision.synthesis.anatomy.complete import Anatomy
from vision.synthesis.anatomy.contents import Meal, fill_gut
from vision.synthesis.anatomy.paint import Fields, layer_urine, paint_tissues, vary_lungs, vary_organs
from vision.synthesis.anatomy.scanner import Protocol, limit_field, scan, stored

Fact = str | float | bool


@dataclass(frozen=True)
class SyntheticCT:
    """A CT that nobody scanned, on the 1.5 mm grid of its anatomy.

    `hu` (I, J, K) int16. `tissues` (I, J, K) uint8: what each voxel shows; 0 also outside the field of view. `facts`
    says how it was drawn: phase, kernel, slice thickness and the like.
    """

    hu: np.ndarray
    tissues: np.ndarray
    facts: Mapping[str, Fact]


def synthesise_ct(anatomy: Anatomy, *, rng: np.random.Generator, phase: str | None = None) -> SyntheticCT:
    """Draw a CT of an anatomy. The same state of `rng` gives the same bytes.

    `phase` is one of `PHASES`, else drawn. Raises ValueError for another phase.
    """
    attenuation = draw_attenuation(rng, phase)
    meal = Meal.draw(rng)
    protocol = Protocol.draw(rng)
    hu = noise_free_hu(anatomy.tissues, attenuation, meal, rng)
    hu = scan(hu, anatomy.tissues, protocol, rng)
    tissues = limit_field(hu, anatomy.tissues, protocol.field_share, rng)
    return SyntheticCT(stored(hu, protocol), tissues, MappingProxyType(_facts(attenuation, meal, protocol)))


def noise_free_hu(tissues: np.ndarray, attenuation: Attenuation, meal: Meal, rng: np.random.Generator) -> np.ndarray:
    """(I, J, K) float32 HU of a body, before a scanner sees it."""
    fields = Fields.draw((tissues.shape[0], tissues.shape[1], tissues.shape[2]), rng)
    hu = paint_tissues(tissues, fields, attenuation)
    vary_organs(hu, tissues, fields, attenuation, rng)
    vary_lungs(hu, tissues)
    fill_gut(hu, tissues, meal, rng=rng, gas_hu=attenuation.means["gas"])
    layer_urine(hu, tissues, attenuation, rng)
    return hu


def _facts(attenuation: Attenuation, meal: Meal, protocol: Protocol) -> dict[str, Fact]:
    return {
        "phase": attenuation.phase,
        "contrast_scale": attenuation.contrast_scale,
        "steatosis_hu": attenuation.steatosis_hu,
        "oral_contrast_hu": meal.contrast_hu,
        "kernel": protocol.kernel,
        "slice_mm": protocol.slice_mm,
        "noise_hu": protocol.noise_hu,
        "metal": protocol.has_metal,
        "clipped": protocol.is_clipped,
        "field_share": protocol.field_share,
    }
