"""What masks tell of visual questions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from assistant.cli import app
from assistant.language.instructions.cases import read_cases
from assistant.language.instructions.labelled import truth_of_masks, write_labelled_cases
from vision.errors import InputRefused
from vision.geometry import CTVolume, Grid, Mask
from vision.io import write_ct, write_mask

GRID = Grid.from_spacing((30, 30, 30), (10.0, 10.0, 10.0))
ALL = ("liver", "spleen", "kidney_left", "kidney_right", "bladder", "prostate", "femur_left", "femur_right")


def mask(structure: str, voxels: int, *, bottom: int = 10) -> Mask:
    """`voxels` millilitres of a structure, from the slice `bottom` on."""
    filled = np.zeros(GRID.shape, dtype=bool)
    filled[:, :, bottom].flat[:voxels] = True
    return Mask(filled, GRID, structure)


def masks(**millilitres: int) -> dict[str, Mask]:
    known = {name: mask(name, millilitres.get(name, 0)) for name in (*ALL, "lung_left", "lung_right")}
    lungs = np.zeros(GRID.shape, dtype=bool)
    if millilitres.get("lungs"):
        lungs[:, :, 12:14] = True
        known |= {name: Mask(lungs, GRID, name) for name in ("lung_left", "lung_right")}
    return known


UPPER = {"liver": 400, "spleen": 200, "kidney_left": 150, "kidney_right": 150}
PELVIS = {"bladder": 100, "femur_left": 50, "femur_right": 50}


@pytest.mark.parametrize(
    ("shown", "region"),
    [
        (UPPER, "upper abdomen"),
        (PELVIS, "pelvis"),
        (UPPER | PELVIS, "abdomen and pelvis"),
        ({"lungs": 1}, "chest"),
        (UPPER | {"lungs": 1}, "chest and abdomen"),
        (UPPER | PELVIS | {"lungs": 1}, "chest, abdomen and pelvis"),
    ],
)
def test_the_region_is_what_organs_are_shown(shown: dict[str, int], region: str) -> None:
    assert truth_of_masks(masks(**shown))["region"] == region


def test_without_all_annotations_no_region_is_told() -> None:
    assert "region" not in truth_of_masks({"liver": mask("liver", 400)})


@pytest.mark.parametrize(("millilitres", "word"), [(50, "reduced"), (200, "usual"), (500, "increased")])
def test_the_spleen_is_judged_by_its_published_range(millilitres: int, word: str) -> None:
    assert truth_of_masks({"spleen": mask("spleen", millilitres)}) == {"spleen_size": word}


def test_a_spleen_that_the_scan_cuts_is_not_judged() -> None:
    assert truth_of_masks({"spleen": mask("spleen", 50, bottom=0)}) == {}


def test_a_small_kidney_beside_a_larger_one_is_shrunken() -> None:
    told = [
        truth_of_masks(masks(kidney_left=left, kidney_right=right))["kidney_size"]
        for left, right in ((60, 160), (150, 60), (150, 160))
    ]
    assert told == ["left kidney looks shrunken", "right kidney looks shrunken", "kidneys look alike in size"]


def test_a_kidney_lesion_lies_in_the_kidney_that_holds_it() -> None:
    left, right = mask("kidney_left", 100, bottom=5), mask("kidney_right", 100, bottom=15)
    lesion = mask("kidney_lesion", 10, bottom=15)
    kidneys = {"kidney_left": left, "kidney_right": right}
    assert truth_of_masks(kidneys | {"kidney_lesion": lesion})["side"] == "right"
    both = Mask(lesion.voxels | mask("kidney_lesion", 10, bottom=5).voxels, GRID, "kidney_lesion")
    assert "side" not in truth_of_masks(kidneys | {"kidney_lesion": both})


def write_case(folder: Path, spleen_ml: int) -> None:
    (folder / "segmentations").mkdir(parents=True)
    hu = np.full(GRID.shape, -1000, dtype=np.int16)
    hu[1:-1, 1:-1] = np.random.default_rng(0).normal(40, 15, (28, 28, 30)).astype(np.int16)
    write_ct(CTVolume(hu, GRID), folder / "ct.nii.gz")
    write_mask(mask("spleen", spleen_ml), folder / "segmentations" / "spleen.nii.gz")


def test_folders_of_labelled_cts_become_a_list_of_cases(tmp_path: Path) -> None:
    write_case(tmp_path / "cts" / "case_1", 500)
    drawn = {"phase": "delayed", "steatosis_hu": 0.0, "oral_contrast_hu": 0.0, "noise_hu": 5.0}
    (tmp_path / "cts" / "cases.json").write_text(json.dumps([{"ct": "case_1/ct.nii.gz", "drawn": drawn}]))
    result = CliRunner().invoke(app, ["data", "truth", str(tmp_path / "cts"), "--out", str(tmp_path / "list.json")])
    assert result.exit_code == 0, result.exception
    (case,) = read_cases(tmp_path / "list.json")
    assert case.ct == "case_1/ct.nii.gz"
    assert case.truth["spleen_size"] == "increased"
    assert case.truth["phase"] == "delayed"


def test_masks_that_tell_nothing_are_refused(tmp_path: Path) -> None:
    write_case(tmp_path / "cts" / "case_1", 0)
    (tmp_path / "cts" / "cases.json").write_text("[]")
    with pytest.raises(InputRefused, match="tell nothing"):
        write_labelled_cases([tmp_path / "cts"], tmp_path / "list.json")
