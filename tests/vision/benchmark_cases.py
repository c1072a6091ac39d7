"""Small cases with reference masks, written as the layouts that evaluation reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nibabel.loadsave import save
from nibabel.nifti1 import Nifti1Image

from vision.benchmark import EvaluationCase, read_reference
from vision.geometry import CTVolume, Grid, Mask
from vision.io import write_ct, write_label_map, write_mask

ORDER = "abdomenatlas1.1"
GRID = Grid.from_spacing((40, 32, 24), (6.0, 6.0, 8.0))


def block(structure: str, start: tuple[int, int, int], stop: tuple[int, int, int]) -> Mask:
    voxels = np.zeros(GRID.shape, dtype=bool)
    voxels[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return Mask(voxels, GRID, structure)


LIVER = block("liver", (2, 4, 4), (18, 20, 20))
SPLEEN = block("spleen", (24, 4, 4), (34, 14, 14))
TUMOUR = block("liver_lesion", (6, 8, 8), (10, 12, 12))


def ct() -> CTVolume:
    noise = np.random.default_rng(0).normal(40, 15, GRID.shape)
    body = np.full(GRID.shape, -1000.0)
    body[1:-1, 1:-1] = noise[1:-1, 1:-1]
    return CTVolume(body.astype(np.int16), GRID)


def write_dev_case(folder: Path, masks: list[Mask]) -> Path:
    folder.mkdir()
    write_ct(ct(), folder / "ct.nii.gz")
    write_label_map(masks, folder / "labels.nii.gz")
    return folder


def write_atlas_case(folder: Path, masks: list[Mask]) -> Path:
    (folder / "segmentations").mkdir(parents=True)
    write_ct(ct(), folder / "ct.nii.gz")
    for mask in masks:
        write_mask(mask, folder / "segmentations" / f"{mask.structure}.nii.gz")
    return folder


def only(masks: list[Mask]) -> dict[str, Mask]:
    return {mask.structure: mask for mask in masks}


def counts(case: EvaluationCase) -> dict[str, int]:
    """Voxels of each reference mask."""
    return {name: mask.count for name, mask in read_reference(case).masks.items()}


def write_integers(path: Path, numbers: dict[int, Mask]) -> None:
    """Write a label map without any names beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = np.zeros(GRID.shape, dtype=np.uint8)
    for number, mask in numbers.items():
        labels[mask.voxels] = number
    save(Nifti1Image(labels, GRID.affine), path)
