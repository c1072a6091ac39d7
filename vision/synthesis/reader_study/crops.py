"""Crops of CTs around lesions, all of one size, spacing and orientation, so that nothing but the tissue differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vision.benchmark.layouts import EvaluationCase, Reference, read_reference
from vision.benchmark.lesions import LESIONS, Lesion
from vision.benchmark.lesions.read import reference_lesions
from vision.geometry import CTVolume, Grid, resample

SHAPE = (128, 128, 9)
SPACING_MM = (0.75, 0.75, 2.5)
FIELD_MM = SHAPE[0] * SPACING_MM[0]
WINDOW_HU = (-160.0, 240.0)
"""The usual soft-tissue window: level 40, width 400. Everything outside it is cut off, as for the reader's eye."""
SMALLEST_MM, LARGEST_MM = 5.0, 80.0
"""Long axes of lesions that are cut out: smaller ones hold too little, larger ones do not fit the field."""
MOST_PER_CASE = 4


@dataclass(frozen=True, eq=False)
class Crop:
    """A lesion with what is around it; `engine` painted it, None for a real one.

    `hu` (128, 128, 9) float32 within the window and `lesion` of the same shape, bool, run to Right, Anterior and
    Superior; the lesion's largest axial cut is in the middle slice. `case` and `number` say where it comes from.
    """

    engine: str | None
    case: str
    structure: str
    number: int
    long_axis_mm: float
    hu: np.ndarray
    lesion: np.ndarray


def crops_of(cases: Sequence[EvaluationCase], rng: np.random.Generator, *, engine: str | None = None) -> list[Crop]:
    """The crops of some cases, at most four of each, drawn by `rng`; lesions too small or too large are left out.

    Lesions are what the cases' reference masks hold, real ones or those that `engine` painted. Raises what
    `read_reference` raises.
    """
    crops: list[Crop] = []
    for case in cases:
        reference = read_reference(case, LESIONS)
        found = [
            (number, lesion)
            for structure in reference.masks
            for number, lesion in enumerate(reference_lesions(case, reference, structure), start=1)
            if SMALLEST_MM <= lesion.long_axis_mm <= LARGEST_MM
        ]
        for place in sorted(rng.permutation(len(found))[:MOST_PER_CASE]):
            number, lesion = found[place]
            crops.append(_crop(reference, lesion, case=case.name, number=number, engine=engine))
    return crops


def _crop(reference: Reference, lesion: Lesion, *, case: str, number: int, engine: str | None) -> Crop:
    ct: CTVolume = reference.ct
    grid = crop_grid(ct.grid, largest_cut_mm(lesion))
    inside = resample(lesion.mask().voxels.astype(np.float32), ct.grid, grid) >= 0.5
    hu = np.clip(resample(ct.hu, ct.grid, grid), *WINDOW_HU)
    return Crop(engine, case, lesion.structure, number, lesion.long_axis_mm, hu.astype(np.float32), inside)


def crop_grid(grid: Grid, centre_mm: np.ndarray) -> Grid:
    """The grid of a crop around a point in RAS+ mm, its axes along those of the CT and in RAS order."""
    directions = grid.reoriented("RAS")[0].directions
    affine = np.eye(4)
    affine[:3, :3] = directions * SPACING_MM
    affine[:3, 3] = centre_mm - affine[:3, :3] @ (np.asarray(SHAPE) // 2)
    return Grid(SHAPE, affine)


def largest_cut_mm(lesion: Lesion) -> np.ndarray:
    """(3,) RAS+ mm: the middle of the axial slice in which the lesion is largest."""
    up = lesion.box.grid.axis_of(2)
    slices = np.moveaxis(lesion.voxels, up, 0)
    index = int(slices.sum(axis=(1, 2)).argmax())
    middle = np.insert(np.argwhere(slices[index]).mean(axis=0), up, index)
    return lesion.box.grid.to_mm(middle + np.asarray(lesion.box.start))
