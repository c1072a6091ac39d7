"""Evaluation of cases: what is scored, what is left out, and what is written."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.fakes import LabelMapSegmenter
from vision.benchmark import (
    CaseResult,
    case_table,
    evaluate_cases,
    evaluation_json,
    find_cases,
    lesion_table,
    read_reference,
    structure_table,
    summarise,
    write_evaluation,
)
from vision.errors import InputRefused, UsageError
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


@pytest.mark.parametrize("write", [write_dev_case, write_atlas_case])
def test_reference_handed_back_scores_one_in_both_layouts(tmp_path: Path, write) -> None:
    cases = find_cases([write(tmp_path / "a", [LIVER, SPLEEN])])
    evaluation = evaluate_cases(cases, LabelMapSegmenter(only([LIVER, SPLEEN])), order=ORDER)
    assert {score.structure for score in evaluation.scores} == {"liver", "spleen"}
    assert {(score.dice, score.surface_dice, score.volume_error_percent) for score in evaluation.scores} == {
        (1.0, 1.0, 0.0)
    }


def test_score_carries_both_volumes_and_their_error(tmp_path: Path) -> None:
    half = block("liver", (2, 4, 4), (10, 20, 20))
    cases = find_cases([write_dev_case(tmp_path / "a", [LIVER])])
    (score,) = evaluate_cases(cases, LabelMapSegmenter({"liver": half}), order=ORDER).scores
    assert score.reference_ml == pytest.approx(16 * 16 * 16 * 288 / 1000)
    assert score.predicted_ml == pytest.approx(score.reference_ml / 2)
    assert score.volume_error_percent == pytest.approx(-50.0)
    assert score.dice == pytest.approx(2 / 3)


def test_only_annotated_structures_are_scored_and_unknown_ones_are_named(tmp_path: Path) -> None:
    cases = find_cases([write_dev_case(tmp_path / "a", [SPLEEN])])
    evaluation = evaluate_cases(cases, LabelMapSegmenter({"liver": LIVER}), order=ORDER)
    assert evaluation.scores == ()
    assert evaluation.unsegmented == {"a": ("spleen",)}


def test_annotated_structure_without_voxels_is_known_to_be_absent(tmp_path: Path) -> None:
    cases = find_cases([write_dev_case(tmp_path / "a", [LIVER])], annotated=frozenset({"gallbladder", "spleen"}))
    segmenter = LabelMapSegmenter({"spleen": SPLEEN}, searches=frozenset({"gall_bladder", "liver"}))
    scores = {score.structure: score for score in evaluate_cases(cases, segmenter, order=ORDER).scores}
    assert scores.keys() == {"gall_bladder", "spleen"}
    assert math.isnan(scores["gall_bladder"].dice)
    assert scores["spleen"].dice == 0.0


def test_empty_mask_file_of_an_atlas_case_is_known_to_be_absent(tmp_path: Path) -> None:
    absent = Mask(np.zeros(GRID.shape, dtype=bool), GRID, "spleen")
    cases = find_cases([write_atlas_case(tmp_path / "a", [LIVER, absent])])
    scores = evaluate_cases(cases, LabelMapSegmenter(only([LIVER, SPLEEN])), order=ORDER).scores
    assert {score.structure: score.dice for score in scores} == {"liver": 1.0, "spleen": 0.0}


def test_tumour_of_a_label_map_belongs_to_its_organ_too(tmp_path: Path) -> None:
    (case,) = find_cases([write_dev_case(tmp_path / "a", [LIVER, TUMOUR])])
    masks = read_reference(case, order=ORDER).masks
    assert masks["liver"].count == LIVER.count
    assert masks["liver_lesion"].count == TUMOUR.count


def test_kidney_tumour_belongs_to_the_nearer_kidney(tmp_path: Path) -> None:
    right, left = block("kidney_right", (2, 4, 4), (8, 10, 10)), block("kidney_left", (30, 4, 4), (36, 10, 10))
    grown = block("kidney_lesion", (26, 4, 4), (31, 8, 8))
    (case,) = find_cases([write_dev_case(tmp_path / "a", [right, left, grown])])
    masks = read_reference(case, order=ORDER).masks
    assert masks["kidney_right"].count == right.count
    assert masks["kidney_left"].count == np.count_nonzero(left.voxels | grown.voxels)


def test_lesions_count_where_none_is_annotated_and_nowhere_else(tmp_path: Path) -> None:
    write_dev_case(tmp_path / "clean", [LIVER])
    write_dev_case(tmp_path / "ill", [LIVER, TUMOUR])
    two = TUMOUR.voxels | block("liver_lesion", (13, 15, 15), (15, 17, 17)).voxels
    segmenter = LabelMapSegmenter({"liver": LIVER, "liver_lesion": Mask(two, GRID, "liver_lesion")})
    evaluation = evaluate_cases(find_cases([tmp_path]), segmenter, order=ORDER)
    assert [(count.case, count.structure, count.pieces) for count in evaluation.lesions] == [
        ("clean", "liver_lesion", 2)
    ]
    assert {score.case for score in evaluation.scores if score.structure == "liver_lesion"} == {"ill"}


def test_each_case_is_handed_on_with_its_masks_and_progress_is_told(tmp_path: Path) -> None:
    write_dev_case(tmp_path / "a", [LIVER])
    write_dev_case(tmp_path / "b", [LIVER])
    kept: list[CaseResult] = []
    told: list[tuple[str, float]] = []
    evaluate_cases(
        find_cases([tmp_path]),
        LabelMapSegmenter({"liver": LIVER}),
        order=ORDER,
        progress=lambda step, share: told.append((step, share)),
        keep=kept.append,
    )
    assert [result.case for result in kept] == ["a", "b"]
    assert kept[0].predicted["liver"].count == LIVER.count
    assert told == [("a", 0.0), ("b", 0.5), ("done", 1.0)]


def test_integers_are_never_guessed(tmp_path: Path) -> None:
    folder = write_dev_case(tmp_path / "a", [LIVER])
    (folder / "labels.json").unlink()
    with pytest.raises(InputRefused, match="E_LABEL_ORDER"):
        evaluate_cases(find_cases([folder]), LabelMapSegmenter({"liver": LIVER}), order=None)


def test_reference_on_another_grid_is_refused(tmp_path: Path) -> None:
    folder = write_dev_case(tmp_path / "a", [LIVER])
    moved = Grid.from_spacing(GRID.shape, GRID.spacing_mm, (5.0, 0.0, 0.0))
    write_label_map([Mask(LIVER.voxels, moved, "liver")], folder / "labels.nii.gz")
    (case,) = find_cases([folder])
    with pytest.raises(InputRefused, match="E_GRID"):
        read_reference(case, order=ORDER)


def test_folder_without_cases_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    with pytest.raises(InputRefused, match="E_NO_CASE"):
        find_cases([tmp_path])
    with pytest.raises(InputRefused, match="E_NOT_FOUND"):
        find_cases([tmp_path / "missing"])


def test_two_cases_of_one_name_are_refused(tmp_path: Path) -> None:
    folder = write_dev_case(tmp_path / "a", [LIVER])
    with pytest.raises(UsageError, match="E_CASE_TWICE"):
        find_cases([folder, tmp_path])


def test_unknown_annotated_structure_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No structure is called"):
        find_cases([write_dev_case(tmp_path / "a", [LIVER])], annotated=frozenset({"livver2000"}))


def test_tables_and_files_hold_every_score(tmp_path: Path) -> None:
    cases = find_cases([write_dev_case(tmp_path / "a", [LIVER]), write_dev_case(tmp_path / "b", [LIVER])])
    segmenter = LabelMapSegmenter({"liver": LIVER}, searches=frozenset({"liver_lesion"}))
    evaluation = evaluate_cases(cases, segmenter, order=ORDER)
    (summary,) = summarise(evaluation.scores)
    assert (summary.dice.mean, summary.dice.n, summary.dice.is_small) == (1.0, 2, True)
    console = Console(width=140, record=True, file=io.StringIO())
    for table in (case_table(evaluation.scores), structure_table([summary]), lesion_table(evaluation)):
        console.print(table)
    told = console.export_text()
    assert "1.000 [1.000, 1.000]" in told
    assert "fewer than 10 cases" in told
    out = write_evaluation(evaluation, tmp_path / "out")
    with (out / "scores.csv").open(newline="") as lines:
        assert [row["case"] for row in csv.DictReader(lines)] == ["a", "b"]
    assert json.loads((out / "evaluation.json").read_text()) == json.loads(json.dumps(evaluation_json(evaluation)))


def test_undefined_metric_is_null_in_json_and_a_dash_in_tables(tmp_path: Path) -> None:
    cases = find_cases([write_dev_case(tmp_path / "a", [LIVER])], annotated=frozenset({"spleen"}))
    evaluation = evaluate_cases(cases, LabelMapSegmenter({}, searches=frozenset({"spleen"})), order=ORDER)
    assert evaluation_json(evaluation)["scores"][0]["dice"] is None
    assert evaluation_json(evaluation)["structures"][0]["dice"]["n"] == 0
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(structure_table(summarise(evaluation.scores)))
    assert " - " in console.export_text()
