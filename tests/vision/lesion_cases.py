"""Small lesions of known size, and cases of them in folders, for the tests of lesion evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from nibabel.loadsave import save
from nibabel.nifti1 import Nifti1Image

from vision.benchmark.lesions import Lesion, connected_lesions
from vision.benchmark.lesions.lesion import with_confidence
from vision.geometry import CTVolume, Grid, Mask
from vision.io import write_ct, write_mask

GRID = Grid.from_spacing((48, 40, 24), (5.0, 5.0, 8.0))
LIVER, PANCREAS = "liver_lesion", "pancreas_lesion"


def box(start: tuple[int, int, int], size: tuple[int, int, int]) -> np.ndarray:
    """(48, 40, 24) bool, true in a box."""
    voxels = np.zeros(GRID.shape, dtype=bool)
    voxels[tuple(slice(a, a + b) for a, b in zip(start, size, strict=True))] = True
    return voxels


def lesion(start: tuple[int, int, int], size: tuple[int, int, int], confidence: float | None = None) -> Lesion:
    (one,) = connected_lesions(Mask(box(start, size), GRID, LIVER))
    return with_confidence(one, lambda _: confidence)


def write_case(folder: Path, masks: Mapping[str, np.ndarray]) -> Path:
    """A case with a CT and one mask file for each structure."""
    hu = np.full(GRID.shape, -1000, dtype=np.int16)
    hu[1:-1, 1:-1] = np.random.default_rng(0).normal(40, 15, GRID.shape)[1:-1, 1:-1]
    write_ct(CTVolume(hu, GRID), folder / "ct.nii.gz")
    write_masks(folder / "segmentations", masks)
    return folder


def write_masks(folder: Path, masks: Mapping[str, np.ndarray]) -> Path:
    for structure, voxels in masks.items():
        write_mask(Mask(voxels, GRID, structure), folder / f"{structure}.nii.gz")
    return folder


def write_values(path: Path, values: np.ndarray) -> Path:
    """A NIfTI file of any values on the grid of the cases."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save(Nifti1Image(values, GRID.affine), path)
    return path


def none() -> np.ndarray:
    return np.zeros(GRID.shape, dtype=bool)


def union(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.logical_or.reduce(parts)
