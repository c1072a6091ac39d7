"""Datasets with a dataset.json: labels by name, regions, and descriptions that are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.vision.benchmark_cases import LIVER, SPLEEN, TUMOUR, counts, ct, write_integers
from vision.benchmark import find_cases, read_reference
from vision.errors import InputRefused
from vision.geometry import Mask
from vision.io import write_ct


def write_decathlon(folder: Path, labels: dict[str, str], numbers: dict[int, Mask]) -> Path:
    write_ct(ct(), folder / "imagesTr" / "case_1.nii.gz")
    write_integers(folder / "labelsTr" / "case_1.nii.gz", numbers)
    content = {
        "name": "a dataset",
        "modality": {"0": "CT"},
        "labels": {"0": "background", **labels},
        "training": [{"image": "./imagesTr/case_1.nii.gz", "label": "./labelsTr/case_1.nii.gz"}],
        "test": ["./imagesTs/case_2.nii.gz"],
    }
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


def write_nnunet(folder: Path, labels: dict[str, Any], numbers: dict[int, Mask]) -> Path:
    write_ct(ct(), folder / "imagesTr" / "case_1_0000.nii.gz")
    write_integers(folder / "labelsTr" / "case_1.nii.gz", numbers)
    content = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, **labels},
        "numTraining": 1,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


def rewrite(folder: Path, changes: dict[str, Any]) -> None:
    content = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**content, **changes}))


def test_decathlon_labels_are_found_by_name_and_unlisted_classes_are_unknown(tmp_path: Path) -> None:
    labels = {"1": "liver", "2": "cancer"}
    (case,) = find_cases([write_decathlon(tmp_path, labels, {1: LIVER, 2: TUMOUR})])
    assert case.name == "case_1"
    assert case.annotated == {"liver", "liver_lesion"}
    assert counts(case) == {"liver": LIVER.count, "liver_lesion": TUMOUR.count}


def test_decathlon_class_without_voxels_is_known_to_be_absent(tmp_path: Path) -> None:
    (case,) = find_cases([write_decathlon(tmp_path, {"1": "pancreas", "2": "cancer"}, {1: LIVER})])
    assert counts(case) == {"pancreas": LIVER.count, "pancreas_lesion": 0}


@pytest.mark.parametrize(
    ("folder", "labels", "annotated"),
    [
        ("Task03_Liver", {"1": "liver", "2": "cancer"}, {"liver", "liver_lesion"}),
        ("Task06_Lung", {"1": "cancer"}, {"lung_lesion"}),
        ("Task07_Pancreas", {"1": "pancreas", "2": "cancer"}, {"pancreas", "pancreas_lesion"}),
        ("Task08_HepaticVessel", {"1": "Vessel", "2": "Tumour"}, {"hepatic_vessel", "liver_lesion"}),
        ("Task09_Spleen", {"1": "spleen"}, {"spleen"}),
        ("Task10_Colon", {"1": "colon cancer primaries"}, {"colon_lesion"}),
    ],
)
def test_every_abdominal_task_of_the_decathlon_is_understood(
    tmp_path: Path, folder: str, labels: dict[str, str], annotated: set[str]
) -> None:
    (case,) = find_cases([write_decathlon(tmp_path / folder, labels, {1: LIVER})])
    assert (case.annotated, case.unnamed) == (annotated, 0)


def test_nnunet_region_is_the_union_of_its_integers(tmp_path: Path) -> None:
    labels = {"liver": [1, 2], "liver_tumor": 2, "right kidney": 3, "something else": 4}
    (case,) = find_cases([write_nnunet(tmp_path, labels, {1: LIVER, 2: TUMOUR, 4: SPLEEN})])
    assert (case.name, case.unnamed) == ("case_1", 1)
    assert counts(case) == {"liver": LIVER.count, "liver_lesion": TUMOUR.count, "kidney_right": 0}


def test_tumor_beside_a_pair_without_sides_is_that_of_the_pair(tmp_path: Path) -> None:
    labels = {"kidney": [1, 2, 3], "masses": [2, 3], "tumor": 2}
    (case,) = find_cases([write_nnunet(tmp_path / "Dataset220_KiTS2023", labels, {1: LIVER, 2: TUMOUR, 3: SPLEEN})])
    assert case.unnamed == 1
    assert counts(case) == {"kidney_lesion": TUMOUR.count + SPLEEN.count}


def test_nnunet_list_of_cases_may_name_a_ct_without_its_channel(tmp_path: Path) -> None:
    training = [{"image": "./imagesTr/case_1.nii.gz", "label": "./labelsTr/case_1.nii.gz"}]
    folder = write_nnunet(tmp_path, {"liver": 1}, {1: LIVER})
    rewrite(folder, {"training": training})
    (case,) = find_cases([folder])
    assert counts(case) == {"liver": LIVER.count}


def test_integer_that_the_dataset_does_not_name_is_refused(tmp_path: Path) -> None:
    (case,) = find_cases([write_nnunet(tmp_path, {"liver": 1}, {1: LIVER, 7: SPLEEN})])
    with pytest.raises(InputRefused, match=r"E_LABEL: The dataset does not say what the integers \[7\]"):
        read_reference(case)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": []}, "names no labels"),
        ({"labels": {"liver": "one"}}, "labels of the dataset.json cannot be read"),
        ({"labels": {"background": 0, "liver": 1, "ignore": 2}}, "has an ignore label"),
        ({"labels": {"background": 0, "left atrium": 1}}, "names no structure that is known here"),
        ({"channel_names": {"0": "CT", "1": "PET"}}, "does not describe one channel"),
        ({"file_ending": ".png"}, "another file ending"),
        ({"file_ending": None, "training": "all"}, "another file ending"),
        ({"training": ["case_1"]}, "without image and label"),
        ({"training": [{"image": "../a.nii.gz", "label": "b.nii.gz"}]}, "files outside its folder"),
        ({"training": [{"image": "/a.nii.gz", "label": "b.nii.gz"}]}, "files outside its folder"),
        ({"training": [{"image": "a.nii.gz", "label": "b.nii.gz"}]}, "1 of 1 cases whose files are missing"),
    ],
)
def test_dataset_that_is_described_otherwise_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    folder = write_nnunet(tmp_path, {"liver": 1}, {1: LIVER})
    rewrite(folder, changes)
    with pytest.raises(InputRefused, match=f"E_LAYOUT: .*{said}"):
        find_cases([folder])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ("[1]", "is no description"),
        ('{"labels": {"liver": 1}, "modality": {"0": "CT"}}', "neither a list of training cases nor a file ending"),
    ],
)
def test_dataset_json_of_something_else_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(InputRefused, match=f"E_LAYOUT: .*{said}"):
        find_cases([tmp_path])
