"""Cases with lesions and crops of known statistics for the tests of the reader study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vision.benchmark import EvaluationCase, find_cases
from vision.geometry import CTVolume, Grid, Mask
from vision.io import write_ct, write_mask
from vision.synthesis.reader_study.crops import SHAPE, SPACING_MM, WINDOW_HU, Crop

GRID = Grid.from_spacing((48, 48, 26), (4.0, 4.0, 6.0))
STRUCTURE = "liver_lesion"


def ball(centre: tuple[int, int, int], radius_mm: float, grid: Grid = GRID) -> np.ndarray:
    """(I, J, K) bool within a distance of a voxel."""
    places = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    offset = (places - np.asarray(centre)) * grid.spacing_mm
    return np.asarray((offset**2).sum(axis=-1) <= radius_mm**2)


def write_lesions(folder: Path, masks: dict[str, np.ndarray], *, lesion_hu: float = 40.0) -> Path:
    """A case of 100 HU in a body, with lesions of another HU."""
    rng = np.random.default_rng(1)
    hu = np.full(GRID.shape, -1000.0)
    hu[2:-2, 2:-2] = rng.normal(100, 12, GRID.shape)[2:-2, 2:-2]
    for name, voxels in masks.items():
        hu[voxels] += lesion_hu - 100
        write_mask(Mask(voxels, GRID, name), folder / "segmentations" / f"{name}.nii.gz")
    write_ct(CTVolume(hu.astype(np.int16), GRID), folder / "ct.nii.gz")
    return folder


def study_cases(folder: Path, names: Sequence[str], radius_mm: float = 14.0) -> list[EvaluationCase]:
    for name in names:
        write_lesions(folder / name, {STRUCTURE: ball((24, 24, 12), radius_mm)})
    return find_cases([folder])


def crop(case: str, engine: str | None, *, texture: float = 10.0, long_axis_mm: float = 20.0, seed: int = 0) -> Crop:
    """A ball in even tissue; `texture` is the SD of the noise inside in HU, around it is 10."""
    grid = Grid.from_spacing(SHAPE, SPACING_MM)
    lesion = ball((64, 64, 4), long_axis_mm / 2, grid)
    rng = np.random.default_rng(seed)
    hu = 100 + np.where(lesion, texture, 10.0) * rng.standard_normal(SHAPE) - 40 * lesion
    return Crop(engine, case, STRUCTURE, 1, long_axis_mm, np.clip(hu, *WINDOW_HU).astype(np.float32), lesion)
