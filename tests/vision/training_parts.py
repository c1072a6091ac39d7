"""A case of two boxes, its patches, and the network that the tests of training train."""

from __future__ import annotations

import numpy as np

from vision.geometry import CTVolume, Grid, Mask
from vision.models.universal.network import UniversalConfig
from vision.training.cases import TrainingCase, prepare_case
from vision.training.patches import Patch, PatchConfig, draw_patch
from vision.training.scanner import Scanner

STRUCTURES = ("liver", "spleen", "pancreas")
GRID = Grid.from_spacing((48, 44, 40), (1.5, 1.5, 1.5))
SMALL = PatchConfig(sizes=((16, 16, 16),), slab_size=(16, 16), slab_mm=(20.0, 40.0), fine_size=(8, 8, 8), multiple=4)
STILL = PatchConfig(
    sizes=((16, 16, 16),),
    slab_probability=0.0,
    fine_size=(8, 8, 8),
    rotation_degrees=0.0,
    scale=(1.0, 1.0),
    displacement_mm=0.0,
)
PLAIN = Scanner(np.zeros(256, np.float32), gain=1.0, shift_hu=0.0, thickness_mm=0.0, blur_mm=0.0, noise_hu=0.0)


def box_mask(name: str, start: tuple[int, int, int], stop: tuple[int, int, int]) -> Mask:
    voxels = np.zeros(GRID.shape, dtype=bool)
    voxels[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return Mask(voxels, GRID, name)


MASKS = {"liver": box_mask("liver", (2, 2, 2), (22, 34, 36)), "spleen": box_mask("spleen", (28, 4, 4), (44, 24, 32))}


def ct_of() -> CTVolume:
    hu = np.full(GRID.shape, 0, dtype=np.int16)
    hu[MASKS["liver"].voxels] = 100
    hu[MASKS["spleen"].voxels] = 150
    return CTVolume(hu, GRID)


def case_of(*annotated: str) -> TrainingCase:
    known = frozenset(annotated or ("liver", "spleen"))
    return prepare_case(ct_of(), MASKS, annotated=known, structures=STRUCTURES, spacing_mm=1.5)


def patch_of(seed: int, config: PatchConfig = SMALL) -> Patch:
    return draw_patch(case_of(), config=config, spacing_mm=3.0, air_hu=-125.0, rng=np.random.default_rng(seed))


def network_of() -> UniversalConfig:
    return UniversalConfig(STRUCTURES, widths=(8, 16), fine_widths=(8, 16), query_width=8, hidden=4)
