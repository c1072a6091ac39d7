"""What is true of a painted tumour, measured on its mask as everything else is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision.geometry import Grid, Mask
from vision.measure import axes, volume_ml
from vision.synthesis.tumours.protocol import Kind, Organ, Settled, Spacing, TumourFacts, Voxel


def lesion_structure(organ: Organ, kind: Kind) -> str:
    """The lesion's name in the structure table; a cyst of the pancreas is a pancreatic lesion there."""
    return f"{organ}_cyst" if kind == "cyst" and organ in ("liver", "kidney") else f"{organ}_lesion"


def measure_facts(
    before: NDArray[Any],
    after: NDArray[Any],
    mask: NDArray[np.bool_],
    spacing: Spacing,
    *,
    start: Voxel,
    settled: Settled,
    engine: str,
    words: str,
) -> TumourFacts:
    """Measure one tumour on a crop that begins at voxel `start` of the whole array; the mask is not empty."""
    shape = (mask.shape[0], mask.shape[1], mask.shape[2])
    structure = lesion_structure(settled.organ, settled.kind)
    lesion = Mask(mask.copy(), Grid.from_spacing(shape, spacing), structure)
    measured, millilitres = axes(lesion), volume_ml(lesion)
    assert measured is not None, "an engine's mask is not empty"
    middle = [float(at.mean()) + first for at, first in zip(np.nonzero(mask), start, strict=True)]
    i, j, k = (round(at) for at in middle)
    x, y, z = (round(at * step, 3) for at, step in zip((i, j, k), spacing, strict=True))
    inside = float(after[mask].mean(dtype=np.float64))
    return TumourFacts(
        organ=settled.organ,
        structure=structure,
        kind=settled.kind,
        preset=settled.preset,
        engine=engine,
        attenuation=settled.attenuation,
        exophytic=settled.exophytic,
        centre_mm=(x, y, z),
        centre_voxel=(i, j, k),
        long_axis_mm=round(measured.long_mm, 2),
        short_axis_mm=round(measured.short_mm, 2),
        equivalent_diameter_mm=round((6000 * millilitres / math.pi) ** (1 / 3), 2),
        volume_ml=round(millilitres, 4),
        hu_change=round(inside - float(before[mask].mean(dtype=np.float64)), 2),
        hu_inside=round(inside, 2),
        hu_organ=round(settled.organ_hu, 2),
        parts=settled.parts,
        words=words,
    )
