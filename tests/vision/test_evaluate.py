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
from rich.table import Table

from tests.fakes import LabelMapSegmenter
from tests.vision.benchmark_cases import (
    GRID,
    LIVER,
    ORDER,
    SPLEEN,
    TUMOUR,
    block,
    only,
    write_atlas_case,
    write_dev_case,
)
from vision.benchmark import (
    CaseResult,
    Evaluation,
    case_table,
    evaluate_cases,
    evaluation_json,
    find_cases,
    lesion_table,
    read_reference,
    results_writer,
    structure_table,
    summarise,
    write_evaluation,
)
from vision.benchmark.summary import EVERY
from vision.errors import InputRefused, UsageError
from vision.geometry import CTVolume, Grid, Mask
from vision.io import write_label_map
from vision.segmenter import Encoding, Progress, no_progress


@pytest.mark.parametrize("write", [write_dev_case, write_atlas_case])
def test_reference_handed_back_scores_one_in_both_layouts(tmp_path: Path, write) -> None:
    cases = find_cases([write(tmp_path / "a", [LIVER, SPLEEN])], order=ORDER)
    evaluation = evaluate_cases(cases, LabelMapSegmenter(only([LIVER, SPLEEN])))
    assert {score.structure for score in evaluation.scores} == {"liver", "spleen"}
    assert {(score.dice, score.surface_dice, score.volume_error_percent) for score in evaluation.scores} == {
        (1.0, 1.0, 0.0)
    }


def test_score_carries_both_volumes_and_their_error(tmp_path: Path) -> None:
    half = block("liver", (2, 4, 4), (10, 20, 20))
    cases = find_cases([write_dev_case(tmp_path / "a", [LIVER])], order=ORDER)
    (score,) = evaluate_cases(cases, LabelMapSegmenter({"liver": half})).scores
    assert score.reference_ml == pytest.approx(16 * 16 * 16 * 288 / 1000)
    assert score.predicted_ml == pytest.approx(score.reference_ml / 2)
    assert score.volume_error_percent == pytest.approx(-50.0)
    assert score.dice == pytest.approx(2 / 3)


def test_only_annotated_structures_are_scored_and_unknown_ones_are_named(tmp_path: Path) -> None:
    cases = find_cases([write_dev_case(tmp_path / "a", [SPLEEN])], order=ORDER)
    evaluation = evaluate_cases(cases, LabelMapSegmenter({"liver": LIVER}))
    assert evaluation.scores == ()
    assert evaluation.unsegmented == {"a": ("spleen",)}


def test_annotated_structure_without_voxels_is_known_to_be_absent(tmp_path: Path) -> None:
    cases = find_cases(
        [write_dev_case(tmp_path / "a", [LIVER])], order=ORDER, annotated=frozenset({"gallbladder", "spleen"})
    )
    segmenter = LabelMapSegmenter({"spleen": SPLEEN}, searches=frozenset({"gall_bladder", "liver"}))
    scores = {score.structure: score for score in evaluate_cases(cases, segmenter).scores}
    assert scores.keys() == {"gall_bladder", "spleen"}
    assert math.isnan(scores["gall_bladder"].dice)
    assert scores["spleen"].dice == 0.0


def test_empty_mask_file_of_an_atlas_case_is_known_to_be_absent(tmp_path: Path) -> None:
    absent = Mask(np.zeros(GRID.shape, dtype=bool), GRID, "spleen")
    cases = find_cases([write_atlas_case(tmp_path / "a", [LIVER, absent])], order=ORDER)
    scores = evaluate_cases(cases, LabelMapSegmenter(only([LIVER, SPLEEN]))).scores
    assert {score.structure: score.dice for score in scores} == {"liver": 1.0, "spleen": 0.0}


def test_tumour_of_a_label_map_belongs_to_its_organ_too(tmp_path: Path) -> None:
    (case,) = find_cases([write_dev_case(tmp_path / "a", [LIVER, TUMOUR])], order=ORDER)
    masks = read_reference(case).masks
    assert masks["liver"].count == LIVER.count
    assert masks["liver_lesion"].count == TUMOUR.count


def test_kidney_tumour_belongs_to_the_nearer_kidney(tmp_path: Path) -> None:
    right, left = block("kidney_right", (2, 4, 4), (8, 10, 10)), block("kidney_left", (30, 4, 4), (36, 10, 10))
    grown = block("kidney_lesion", (26, 4, 4), (31, 8, 8))
    (case,) = find_cases([write_dev_case(tmp_path / "a", [right, left, grown])], order=ORDER)
    masks = read_reference(case).masks
    assert masks["kidney_right"].count == right.count
    assert masks["kidney_left"].count == np.count_nonzero(left.voxels | grown.voxels)


def test_lesions_count_where_none_is_annotated_and_nowhere_else(tmp_path: Path) -> None:
    write_dev_case(tmp_path / "clean", [LIVER])
    write_dev_case(tmp_path / "ill", [LIVER, TUMOUR])
    two = TUMOUR.voxels | block("liver_lesion", (13, 15, 15), (15, 17, 17)).voxels
    segmenter = LabelMapSegmenter({"liver": LIVER, "liver_lesion": Mask(two, GRID, "liver_lesion")})
    evaluation = evaluate_cases(find_cases([tmp_path], order=ORDER), segmenter)
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
        find_cases([tmp_path], order=ORDER),
        LabelMapSegmenter({"liver": LIVER}),
        progress=lambda step, share: told.append((step, share)),
        keep=kept.append,
    )
    assert [result.case for result in kept] == ["a", "b"]
    assert kept[0].predicted["liver"].count == LIVER.count
    assert told == [
        ("a: reading", 0.0),
        ("a: looking at the CT", 0.5),
        ("b: reading", 0.5),
        ("b: looking at the CT", 1.0),
        ("done", 1.0),
    ]


def test_integers_are_never_guessed(tmp_path: Path) -> None:
    folder = write_dev_case(tmp_path / "a", [LIVER])
    (folder / "labels.json").unlink()
    with pytest.raises(InputRefused, match="E_LABEL_ORDER"):
        evaluate_cases(find_cases([folder]), LabelMapSegmenter({"liver": LIVER}))


def test_reference_on_another_grid_is_refused(tmp_path: Path) -> None:
    folder = write_dev_case(tmp_path / "a", [LIVER])
    moved = Grid.from_spacing(GRID.shape, GRID.spacing_mm, (5.0, 0.0, 0.0))
    write_label_map([Mask(LIVER.voxels, moved, "liver")], folder / "labels.nii.gz")
    (case,) = find_cases([folder], order=ORDER)
    with pytest.raises(InputRefused, match="E_GRID"):
        read_reference(case)


def shown(*tables: Table) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    for table in tables:
        console.print(table)
    return console.export_text()


def two_cases(tmp_path: Path) -> Evaluation:
    """Case a: liver found, spleen missed. Case b: half of the liver; the spleen is known absent and not found."""
    write_dev_case(tmp_path / "a", [LIVER, SPLEEN])
    write_dev_case(tmp_path / "b", [block("liver", (2, 4, 4), (10, 20, 20))])
    cases = find_cases([tmp_path / "a", tmp_path / "b"], order=ORDER, annotated=frozenset({"liver", "spleen"}))
    searches = frozenset({"spleen", "liver_lesion"})
    return evaluate_cases(cases, LabelMapSegmenter({"liver": LIVER}, searches=searches))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_long_table_has_a_row_for_each_structure_of_each_case(tmp_path: Path) -> None:
    out = write_evaluation(two_cases(tmp_path), tmp_path / "out")
    rows = {(row["case"], row["structure"]): row for row in rows_of(out / "results.csv")}
    assert {key: row["dice"] for key, row in rows.items()} == {
        ("a", "spleen"): "0.0",
        ("a", "liver"): "1.0",
        ("b", "spleen"): "",
        ("b", "liver"): "0.666667",
    }
    assert float(rows["b", "liver"]["volume_error_ml"]) == pytest.approx(8 * 16 * 16 * 288 / 1000)


def test_wide_tables_are_empty_where_a_structure_is_absent_or_not_annotated(tmp_path: Path) -> None:
    out = write_evaluation(two_cases(tmp_path), tmp_path / "out")
    assert (out / "dsc.csv").read_text() == "name,liver,spleen\na,1.0,0.0\nb,0.666667,\n"
    assert [row["spleen"] for row in rows_of(out / "nsd.csv")] == ["0.0", ""]


def test_summary_of_two_cases_gives_the_single_values_for_an_interval(tmp_path: Path) -> None:
    evaluation = two_cases(tmp_path)
    by_name = {row.structure: row.metrics["dice"] for row in summarise(evaluation.scores)}
    assert (by_name["liver"].n, by_name["spleen"].n) == (2, 1)
    assert by_name["liver"].values == (1.0, pytest.approx(2 / 3))
    assert by_name["liver"].median == pytest.approx(5 / 6)
    told = shown(structure_table(summarise(evaluation.scores)))
    assert "0.833 (1.000, 0.667)" in told
    assert "fewer than 3 the single values" in told


def test_each_case_counts_once_in_the_mean_of_a_case(tmp_path: Path) -> None:
    last = summarise(two_cases(tmp_path).scores)[-1]
    assert last.structure == EVERY
    assert last.metrics["dice"].values == (0.5, pytest.approx(2 / 3))


def test_three_cases_have_an_interval_in_table_and_file(tmp_path: Path) -> None:
    for name in "abc":
        write_dev_case(tmp_path / name, [LIVER])
    evaluation = evaluate_cases(find_cases([tmp_path], order=ORDER), LabelMapSegmenter({"liver": LIVER}))
    assert "1.000 [1.000, 1.000]" in shown(structure_table(summarise(evaluation.scores)))
    first = (write_evaluation(evaluation, tmp_path / "out") / "summary.csv").read_text().splitlines()[1]
    assert first == "liver,dice,3,1.0,1.0,1.0,1.0"


def test_json_holds_what_the_evaluation_holds(tmp_path: Path) -> None:
    evaluation = two_cases(tmp_path)
    out = write_evaluation(evaluation, tmp_path / "out")
    assert json.loads((out / "evaluation.json").read_text()) == json.loads(json.dumps(evaluation_json(evaluation)))
    assert "liver lesion" in shown(case_table(evaluation), lesion_table(evaluation))


def test_undefined_metric_is_null_in_json_and_a_dash_in_tables(tmp_path: Path) -> None:
    cases = find_cases([write_dev_case(tmp_path / "a", [LIVER])], order=ORDER, annotated=frozenset({"spleen"}))
    evaluation = evaluate_cases(cases, LabelMapSegmenter({}, searches=frozenset({"spleen"})))
    assert evaluation_json(evaluation)["scores"][0]["dice"] is None
    assert evaluation_json(evaluation)["structures"][0]["dice"]["n"] == 0
    assert " - " in shown(structure_table(summarise(evaluation.scores)))


def test_evaluation_without_a_score_writes_tables_with_their_headers(tmp_path: Path) -> None:
    cases = find_cases([write_dev_case(tmp_path / "a", [LIVER])], order=ORDER)
    out = write_evaluation(evaluate_cases(cases, LabelMapSegmenter({"spleen": SPLEEN})), tmp_path / "out")
    assert (out / "dsc.csv").read_text() == "name\na\n"
    assert rows_of(out / "results.csv") == rows_of(out / "summary.csv") == []


class Interrupted(LabelMapSegmenter):
    """Is interrupted at the second CT."""

    seen = 0

    def encode(self, ct: CTVolume, progress: Progress = no_progress) -> Encoding:
        self.seen += 1
        if self.seen > 1:
            raise KeyboardInterrupt
        return super().encode(ct, progress)


def test_interruption_leaves_the_rows_of_finished_cases(tmp_path: Path) -> None:
    for name in "ab":
        write_dev_case(tmp_path / name, [LIVER])
    cases, out = find_cases([tmp_path], order=ORDER), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        evaluate_cases(cases, Interrupted({"liver": LIVER}), keep=results_writer(out))
    assert [row["case"] for row in rows_of(out / "results.csv")] == ["a"]
    assert [row["name"] for row in rows_of(out / "dsc.csv")] == ["a"]


def test_chosen_structures_alone_are_scored_with_the_lesions_in_them(tmp_path: Path) -> None:
    hole = Mask(LIVER.voxels & ~TUMOUR.voxels, GRID, "liver")
    cases = find_cases([write_atlas_case(tmp_path / "a", [hole, SPLEEN, TUMOUR])])
    segmenter = LabelMapSegmenter(only([LIVER, SPLEEN]), searches=frozenset({"liver_lesion"}))
    evaluation = evaluate_cases(cases, segmenter, structures=frozenset({"Liver"}))
    assert [(score.structure, score.dice) for score in evaluation.scores] == [("liver", 1.0)]
    assert evaluation.lesions == ()


def test_unknown_chosen_structure_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="E_STRUCTURE"):
        evaluate_cases([], LabelMapSegmenter({}), structures=frozenset({"livver2000"}))


def test_refused_case_is_told_by_its_number_and_not_by_its_name(tmp_path: Path) -> None:
    write_dev_case(tmp_path / "a", [LIVER])
    (write_dev_case(tmp_path / "jane", [LIVER]) / "labels.nii.gz").write_bytes(b"no image")
    with pytest.raises(InputRefused, match="Case 2 of 2: ") as refused:
        evaluate_cases(find_cases([tmp_path], order=ORDER), LabelMapSegmenter({"liver": LIVER}))
    assert "jane" not in str(refused.value)
