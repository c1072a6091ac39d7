"""Lesions of whole cases compared: rows, predictors, and what is left out."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.fakes import LabelMapSegmenter
from tests.vision.lesion_cases import GRID, LIVER, PANCREAS, box, none, union, write_case, write_masks, write_values
from vision.benchmark import find_cases
from vision.benchmark.lesions import FolderPredictor, LesionEvaluation, SegmenterPredictor, evaluate_lesions
from vision.benchmark.lesions.read import load_probabilities
from vision.errors import InputRefused, UsageError
from vision.geometry import Grid, Mask
from vision.io import write_mask

SMALL, LARGE = box((4, 4, 4), (3, 3, 2)), box((20, 10, 8), (8, 8, 6))
FALSE = box((40, 30, 4), (2, 2, 2))


def evaluate(folder: Path, predictions: Path, **chosen: frozenset[str]) -> LesionEvaluation:
    return evaluate_lesions(find_cases([folder]), FolderPredictor(predictions), structures=chosen.get("structures"))


def segmenter_of(masks: dict[str, np.ndarray]) -> SegmenterPredictor:
    return SegmenterPredictor(LabelMapSegmenter({name: Mask(voxels, GRID, name) for name, voxels in masks.items()}))


def test_each_lesion_has_a_row_that_says_what_became_of_it(tmp_path: Path) -> None:
    write_case(tmp_path / "cases" / "a", {LIVER: union([SMALL, LARGE])})
    write_masks(tmp_path / "out" / "a" / "segmentations", {LIVER: union([box((20, 10, 8), (10, 8, 6)), FALSE])})
    evaluation = evaluate(tmp_path / "cases", tmp_path / "out")
    found, missed = evaluation.references
    assert (found.found, missed.found) == (True, False)
    assert found.dice == pytest.approx(2 * 8 / (8 + 10))
    assert found.iou == pytest.approx(0.8)
    assert found.size_error_mm == pytest.approx(math.hypot(50, 40) - math.hypot(40, 40), abs=1.0)
    assert missed.dice == 0.0
    assert math.isnan(missed.size_error_mm)
    assert {(row.verdict, row.reference) for row in evaluation.predictions} == {("hit", 1), ("false positive", None)}
    (row,) = evaluation.rows
    assert (row.lesions, row.found, row.false_positives, row.fragments) == (2, 1, 1, 0)
    common, sizes = 8 * 8 * 6, 8 * 8 * 6 + 3 * 3 * 2 + 10 * 8 * 6 + 8
    assert row.dice == pytest.approx(2 * common / sizes)


def test_reference_handed_back_is_perfect(tmp_path: Path) -> None:
    write_case(tmp_path / "a", {LIVER: union([SMALL, LARGE]), PANCREAS: none()})
    evaluation = evaluate(tmp_path, tmp_path)
    assert [(row.found, row.dice, row.size_error_mm) for row in evaluation.references] == [(True, 1.0, 0.0)] * 2
    assert [(row.structure, row.lesions, row.false_positives) for row in evaluation.rows] == [
        (LIVER, 2, 0),
        (PANCREAS, 0, 0),
    ]


def test_numbers_in_a_mask_file_tell_touching_lesions_apart(tmp_path: Path) -> None:
    write_case(tmp_path / "cases" / "a", {})
    labels = np.zeros(GRID.shape, dtype=np.uint8)
    labels[20:28, 10:18, 8:14] = 1
    labels[28:34, 10:18, 8:14] = 2
    write_values(tmp_path / "cases" / "a" / "segmentations" / f"{LIVER}.nii.gz", labels)
    write_masks(tmp_path / "out" / "a", {LIVER: labels > 0})
    rows = evaluate(tmp_path / "cases", tmp_path / "out").references
    assert [(row.found, row.merged) for row in rows] == [(True, False), (False, True)]
    assert [row.found for row in evaluate(tmp_path / "cases", tmp_path / "cases").references] == [True, True]


def test_a_segmenter_is_asked_for_its_lesions_and_how_sure_it_is_of_each(tmp_path: Path) -> None:
    write_case(tmp_path / "a", {LIVER: LARGE, PANCREAS: SMALL})
    evaluation = evaluate_lesions(find_cases([tmp_path]), segmenter_of({LIVER: union([LARGE, FALSE])}))
    assert [(row.structure, row.verdict, row.confidence) for row in evaluation.predictions] == [
        (LIVER, "hit", 0.9),
        (LIVER, "false positive", 0.9),
    ]
    assert evaluation.unsearched == (PANCREAS,)
    assert {row.structure for row in evaluation.references} == {LIVER}


def test_a_segmenter_without_lesions_says_what_else_can_be_done() -> None:
    with pytest.raises(UsageError, match=r"E_NO_LESIONS.*--predictions FOLDER"):
        SegmenterPredictor(LabelMapSegmenter({}, searches=frozenset({"liver"})))


def test_confidence_is_the_mean_of_the_probability_map_over_the_lesion(tmp_path: Path) -> None:
    write_case(tmp_path / "cases" / "a", {LIVER: LARGE})
    write_masks(tmp_path / "out" / "a" / "masks", {LIVER: union([LARGE, FALSE])})
    values = np.where(FALSE, 0.25, 0.5).astype(np.float32)
    values[20:24] = 1.0
    write_values(tmp_path / "out" / "a" / "probabilities" / f"{LIVER}.nii.gz", values)
    hit, false = evaluate(tmp_path / "cases", tmp_path / "out").predictions
    assert (hit.confidence, false.confidence) == (pytest.approx(0.75), pytest.approx(0.25))


def test_a_missing_mask_is_a_search_without_result_if_any_case_has_one(tmp_path: Path) -> None:
    for name in "ab":
        write_case(tmp_path / "cases" / name, {LIVER: LARGE, PANCREAS: SMALL})
    write_masks(tmp_path / "out" / "a" / "predictions", {LIVER: LARGE})
    (tmp_path / "out" / "b" / "predictions").mkdir(parents=True)
    evaluation = evaluate(tmp_path / "cases", tmp_path / "out")
    assert [(row.case, row.structure, row.found) for row in evaluation.references] == [
        ("a", LIVER, True),
        ("b", LIVER, False),
    ]
    assert evaluation.unsearched == (PANCREAS,)


def test_a_structure_that_is_named_was_searched_for_even_if_nothing_was_found(tmp_path: Path) -> None:
    write_case(tmp_path / "cases" / "a", {LIVER: LARGE, PANCREAS: SMALL})
    write_masks(tmp_path / "out" / "a" / "predictions", {LIVER: LARGE})
    evaluation = evaluate(tmp_path / "cases", tmp_path / "out", structures=frozenset({"pancreatic tumor"}))
    assert [(row.structure, row.found) for row in evaluation.references] == [(PANCREAS, False)]


def test_label_maps_named_after_the_cases_are_read_with_the_labels_of_their_dataset(tmp_path: Path) -> None:
    write_case(tmp_path / "cases" / "a", {LIVER: LARGE})
    write_values(tmp_path / "out" / "a.nii.gz", np.where(LARGE, 2, 0).astype(np.uint8))
    (tmp_path / "out" / "dataset.json").write_text(
        json.dumps({"labels": {"background": 0, "liver": 1, "liver tumor": 2}, "channel_names": {"0": "CT"}})
    )
    assert [row.found for row in evaluate(tmp_path / "cases", tmp_path / "out").references] == [True]


@pytest.mark.parametrize("place", ["a/labels.nii.gz", "a/combined_labels.nii.gz", "a.nii.gz"])
def test_label_maps_are_read_by_their_order(tmp_path: Path, place: str) -> None:
    write_case(tmp_path / "cases" / "a", {LIVER: LARGE})
    write_values(tmp_path / "out" / place, np.where(LARGE, 101, 0).astype(np.uint8))
    predictor = FolderPredictor(tmp_path / "out", order="abdomenatlas1.1")
    evaluation = evaluate_lesions(find_cases([tmp_path / "cases"]), predictor)
    assert [row.found for row in evaluation.references] == [True]


def test_cases_that_say_nothing_of_lesions_are_counted_and_left_out(tmp_path: Path) -> None:
    write_case(tmp_path / "a", {LIVER: LARGE})
    write_case(tmp_path / "b", {"liver": LARGE})
    evaluation = evaluate_lesions(find_cases([tmp_path]), segmenter_of({LIVER: LARGE}))
    assert evaluation.unannotated == 1
    assert {row.case for row in evaluation.rows} == {"a"}


def test_a_case_said_to_be_without_lesions_counts_false_alarms(tmp_path: Path) -> None:
    write_case(tmp_path / "a", {"liver": LARGE})
    cases = find_cases([tmp_path], annotated=frozenset({"liver", LIVER}))
    (row,) = evaluate_lesions(cases, segmenter_of({LIVER: union([FALSE, SMALL])})).rows
    assert (row.lesions, row.false_positives) == (0, 2)


def test_no_case_that_speaks_of_lesions_is_refused(tmp_path: Path) -> None:
    write_case(tmp_path / "a", {"liver": LARGE})
    with pytest.raises(UsageError, match="E_NOT_ANNOTATED"):
        evaluate_lesions(find_cases([tmp_path]), segmenter_of({LIVER: LARGE}))


def test_predictions_of_other_structures_alone_are_refused(tmp_path: Path) -> None:
    write_case(tmp_path / "cases" / "a", {LIVER: LARGE})
    write_masks(tmp_path / "out" / "a", {"liver": LARGE})
    with pytest.raises(UsageError, match="E_NO_LESIONS"):
        evaluate(tmp_path / "cases", tmp_path / "out")


@pytest.mark.parametrize("min_iou", [0.0, 1.5])
def test_an_overlap_that_means_nothing_is_refused(tmp_path: Path, min_iou: float) -> None:
    with pytest.raises(UsageError, match="E_IOU"):
        evaluate_lesions([], segmenter_of({LIVER: LARGE}), min_iou=min_iou)


def test_an_organ_is_no_lesion(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="E_STRUCTURE: 'liver' is no lesion"):
        evaluate_lesions([], segmenter_of({LIVER: LARGE}), structures=frozenset({"liver"}))


def test_a_case_without_a_prediction_is_told_by_its_number(tmp_path: Path) -> None:
    write_case(tmp_path / "cases" / "jane", {LIVER: LARGE})
    (tmp_path / "out").mkdir()
    with pytest.raises(InputRefused, match="E_PREDICTION: Case 1 of 1") as refused:
        evaluate(tmp_path / "cases", tmp_path / "out")
    assert "jane" not in str(refused.value)


def test_a_folder_of_predictions_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="E_NOT_FOUND"):
        FolderPredictor(tmp_path / "nowhere")


def test_predictions_on_another_grid_are_refused(tmp_path: Path) -> None:
    write_case(tmp_path / "cases" / "a", {LIVER: LARGE})
    moved = Grid.from_spacing(GRID.shape, GRID.spacing_mm, (5.0, 0.0, 0.0))
    write_mask(Mask(LARGE.copy(), moved, LIVER), tmp_path / "out" / "a" / f"{LIVER}.nii.gz")
    with pytest.raises(InputRefused, match="E_GRID"):
        evaluate(tmp_path / "cases", tmp_path / "out")


@pytest.mark.parametrize("worst", [1.5, -0.2, math.nan, math.inf])
def test_a_probability_map_of_other_values_is_refused(tmp_path: Path, worst: float) -> None:
    values = np.zeros(GRID.shape, dtype=np.float32)
    values[3, 3, 3] = worst
    with pytest.raises(InputRefused, match="E_PROBABILITY"):
        load_probabilities(write_values(tmp_path / "map.nii.gz", values))
