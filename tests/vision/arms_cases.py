"""Cases for the tests of the two arms: livers in fat, some with a dark lesion, and evaluations made by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests.vision.tumours.bodies import organ_in_fat
from vision.benchmark.arms import ARMS, ArmsComparison, compare_metrics
from vision.benchmark.arms.compare import ArmRun
from vision.benchmark.lesions.evaluate import CaseRow, LesionEvaluation, ReferenceRow
from vision.geometry import CTVolume, Grid, Mask
from vision.io import write_ct, write_mask

SPACING = (2.5, 2.5, 2.5)
LESION = "liver_lesion"


def liver_case(*, lesion_radius_mm: float, seed: int) -> tuple[CTVolume, dict[str, Mask]]:
    """A ball of liver in fat with a lesion of 60 HU less somewhere in it; radius 0 for a healthy one."""
    hu, organ = organ_in_fat(160, spacing=SPACING)
    grid = Grid.from_spacing((hu.shape[0], hu.shape[1], hu.shape[2]), SPACING)
    middle = np.asarray(hu.shape) / 2 + np.random.default_rng(seed).uniform(-3, 3, 3)
    places = np.stack(np.meshgrid(*(np.arange(n) for n in hu.shape), indexing="ij"), axis=-1)
    lesion = np.linalg.norm((places - middle) * SPACING, axis=-1) < lesion_radius_mm
    hu = np.where(lesion, hu - 60, hu).astype(np.int16)
    return CTVolume(hu, grid), {"liver": Mask(organ, grid, "liver"), LESION: Mask(lesion, grid, LESION)}


def write_cases(folder: Path, *, ill: int, well: int) -> Path:
    """A folder of cases in AbdomenAtlas's layout, each with liver and liver_lesion annotated."""
    for number in range(ill + well):
        ct, masks = liver_case(lesion_radius_mm=10.0 if number < ill else 0.0, seed=number)
        name = f"{'ill' if number < ill else 'well'}_{number}"
        write_ct(ct, folder / name / "ct.nii.gz")
        for structure, mask in masks.items():
            write_mask(mask, folder / name / "segmentations" / f"{structure}.nii.gz")
    return folder


def evaluation_of(found: Mapping[str, list[bool]], *, false: int = 0, size_mm: float = 15.0) -> LesionEvaluation:
    """Scan -> whether each of its lesions was found, with Dice 0.5 where it was; `false` false positives a scan."""
    references = [
        ReferenceRow(
            case=scan,
            structure=LESION,
            number=number,
            long_axis_mm=size_mm,
            volume_ml=1.0,
            found=hit,
            merged=False,
            confidence=math.nan,
            iou=math.nan,
            dice=0.5 if hit else 0.0,
            predicted_long_axis_mm=math.nan,
            size_error_mm=math.nan,
        )
        for scan, hits in found.items()
        for number, hit in enumerate(hits, 1)
    ]
    rows = [
        CaseRow(scan, LESION, len(hits), sum(hits), 0, sum(hits) + false, false, 0, 0.5 if any(hits) else 0.0)
        for scan, hits in found.items()
    ]
    return LesionEvaluation("by hand", 0.1, tuple(references), (), tuple(rows), (), 0)


def arms_of(engine: str) -> ArmsComparison:
    """Three seeds, in which the real arm found one of four lesions and the synthetic arm three."""
    real = evaluation_of({"a": [True, False], "b": [False], "c": [False]})
    synthetic = evaluation_of({"a": [True, True], "b": [True], "c": [False]}, false=2)
    runs = [ArmRun(arm, seed, 5, 1.5, real if arm == "real" else synthetic) for seed in range(3) for arm in ARMS]
    metrics = compare_metrics([real] * 3, [synthetic] * 3)
    return ArmsComparison(engine, (LESION,), 4, 3, 1.0, tuple(runs), tuple(metrics))
