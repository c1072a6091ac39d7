"""Sensitivity by size, intervals over scans, the FROC curve, tables and files."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from tests.vision.lesion_cases import LIVER, PANCREAS, box, union, write_case, write_masks
from vision.benchmark import find_cases
from vision.benchmark.lesions import (
    ALL,
    RATES,
    FolderPredictor,
    LesionEvaluation,
    estimate,
    evaluate_lesions,
    froc_curve,
    lesion_tables,
    lesions_json,
    lesions_writer,
    summarise_lesions,
    write_lesions,
)
from vision.benchmark.lesions.evaluate import CaseRow, PredictedRow, ReferenceRow
from vision.benchmark.lesions.figure import write_froc_figure


def reference(case: str, long_axis_mm: float, found: bool, structure: str = LIVER) -> ReferenceRow:
    return ReferenceRow(
        case=case,
        structure=structure,
        number=1,
        long_axis_mm=long_axis_mm,
        volume_ml=1.0,
        found=found,
        merged=False,
        confidence=0.9 if found else math.nan,
        iou=0.6 if found else math.nan,
        dice=0.75 if found else 0.0,
        predicted_long_axis_mm=long_axis_mm - 2 if found else math.nan,
        size_error_mm=-2.0 if found else math.nan,
    )


def predicted(case: str, confidence: float, verdict: str, structure: str = LIVER) -> PredictedRow:
    assert verdict in ("hit", "fragment", "false positive")
    return PredictedRow(case, structure, 1, 12.0, 1.0, confidence, verdict, 1 if verdict == "hit" else None)


def row(case: str, lesions: int, found: int, false: int, structure: str = LIVER) -> CaseRow:
    dice = math.nan if lesions + false == 0 else 0.75 * found / max(lesions, 1)
    return CaseRow(case, structure, lesions, found, 0, found + false, false, 0, dice)


def of_rows(rows: list[CaseRow], references: list[ReferenceRow], predictions: list[PredictedRow]) -> LesionEvaluation:
    return LesionEvaluation("masks", 0.1, tuple(references), tuple(predictions), tuple(rows), (), 0)


@pytest.mark.parametrize(
    ("long_axis_mm", "size"),
    [(3.0, "0-5 mm"), (5.0, "0-5 mm"), (5.1, "5-10 mm"), (10.0, "5-10 mm"), (20.0, "10-20 mm"), (20.1, "> 20 mm")],
)
def test_a_lesion_counts_in_the_bin_of_its_long_axis(long_axis_mm: float, size: str) -> None:
    (summary,) = summarise_lesions(of_rows([row("a", 1, 1, 0)], [reference("a", long_axis_mm, True)], []))
    assert {name for name, value in summary.by_size.items() if value.n} == {size}


def test_a_ratio_pools_lesions_and_counts_the_scans_that_hold_any() -> None:
    value = estimate([3, 0, 1, 0], [3, 1, 4, 0])
    assert (value.value, value.n, value.scans) == (0.5, 8, 3)
    assert value.low is not None
    assert value.low < 0.5


def test_lesions_of_one_scan_are_drawn_together() -> None:
    alone = estimate([1] * 20 + [0] * 20, [1] * 40)
    together = estimate([10, 10, 0, 0], [10] * 4)
    widths = [value.high - value.low for value in (alone, together) if value.high is not None and value.low is not None]
    assert alone.value == together.value == 0.5
    assert widths[1] > 2 * widths[0]


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for number in range(60):
        lesions = rng.integers(1, 5, 30)
        share = rng.beta(3, 2, 30)
        value = estimate(list(rng.binomial(lesions, share)), list(lesions), seed=number)
        assert value.low is not None
        assert value.high is not None
        covered += value.low <= 0.6 <= value.high
    assert 50 <= covered <= 60


def test_fewer_than_three_scans_have_no_interval_and_none_has_no_value() -> None:
    assert estimate([1, 1], [2, 2]).low is None
    assert estimate([0], [0]).value is None
    assert estimate([], []).n == 0


def test_numbers_of_different_scans_are_refused() -> None:
    with pytest.raises(ValueError, match="not of the same scans"):
        estimate([1], [1, 2])


def test_the_curve_goes_through_every_confidence() -> None:
    rows = [row("a", 2, 2, 1), row("b", 2, 1, 1), row("c", 0, 0, 1)]
    predictions = [
        predicted("a", 0.9, "hit"),
        predicted("a", 0.4, "hit"),
        predicted("a", 0.6, "false positive"),
        predicted("b", 0.8, "hit"),
        predicted("b", 0.8, "fragment"),
        predicted("b", 0.3, "false positive"),
        predicted("c", 0.85, "false positive"),
    ]
    curve = froc_curve(rows, predictions)
    assert curve is not None
    assert [(p.confidence, p.false_positives_per_scan, p.sensitivity) for p in curve.points] == [
        (0.9, 0.0, 0.25),
        (0.85, pytest.approx(1 / 3), 0.25),
        (0.8, pytest.approx(1 / 3), 0.5),
        (0.6, pytest.approx(2 / 3), 0.5),
        (0.4, pytest.approx(2 / 3), 0.75),
        (0.3, 1.0, 0.75),
    ]
    assert {rate: value.value for rate, value in curve.at_rates.items()} == {
        **{0.125: 0.25, 0.25: 0.25, 0.5: 0.5, 1.0: 0.75},
        **{2.0: 0.75, 4.0: 0.75, 8.0: 0.75},
    }
    assert (curve.lesions, curve.scans, curve.confident) == (4, 3, 7)


def test_predictions_that_are_all_equally_sure_give_one_point_and_nothing_before_it() -> None:
    predictions = [predicted("a", math.nan, "hit"), predicted("a", math.nan, "false positive")]
    curve = froc_curve([row("a", 1, 1, 1)], predictions)
    assert curve is not None
    assert [(point.false_positives_per_scan, point.sensitivity) for point in curve.points] == [(1.0, 1.0)]
    assert curve.at_rates[0.5].value == 0.0
    assert curve.at_rates[1.0].value == 1.0
    assert curve.confident == 0


def test_the_curve_of_scans_without_lesions_does_not_exist_and_one_without_predictions_is_zero() -> None:
    assert froc_curve([row("a", 0, 0, 2)], [predicted("a", 0.5, "false positive")] * 2) is None
    curve = froc_curve([row("a", 1, 0, 0)], [])
    assert curve is not None
    assert curve.points == ()
    assert {value.value for value in curve.at_rates.values()} == {0.0}


def test_intervals_at_the_rates_hold_the_value_and_grow_with_the_rate() -> None:
    rng = np.random.default_rng(2)
    rows, predictions = [], []
    for number in range(12):
        hits = int(rng.integers(0, 4))
        rows.append(row(f"{number}", 3, hits, 2))
        predictions += [predicted(f"{number}", float(rng.uniform(0.3, 1)), "hit") for _ in range(hits)]
        predictions += [predicted(f"{number}", float(rng.uniform(0, 0.9)), "false positive") for _ in range(2)]
    curve = froc_curve(rows, predictions)
    assert curve is not None
    for value in curve.at_rates.values():
        assert value.low is not None
        assert value.value is not None
        assert value.high is not None
        assert value.low <= value.value <= value.high
    assert curve.at_rates[8.0].value == pytest.approx(sum(each.found for each in rows) / 36)


def mixed() -> LesionEvaluation:
    """Four scans with liver lesions, one with a pancreatic one, two free of lesions with one false alarm."""
    rows = [row(name, 1, int(name != "d"), 0) for name in "abcd"] + [row("a", 1, 0, 1, PANCREAS)]
    rows += [row("e", 0, 0, 1), row("f", 0, 0, 0)]
    references = [reference(name, 12, name != "d") for name in "abcd"] + [reference("a", 25, False, PANCREAS)]
    predictions = [predicted(name, 0.8, "hit") for name in "abc"] + [predicted("e", 0.7, "false positive")]
    return of_rows(rows, references, [*predictions, predicted("a", 0.6, "false positive", PANCREAS)])


def test_summary_holds_each_structure_and_all_together() -> None:
    summaries = {summary.structure: summary for summary in summarise_lesions(mixed())}
    assert list(summaries) == [LIVER, PANCREAS, ALL]
    whole = summaries[ALL]
    assert whole.metrics["sensitivity"].value == pytest.approx(3 / 5)
    assert whole.metrics["false_positives_per_scan"].value == pytest.approx(2 / 6)
    assert summaries[LIVER].metrics["false_positives_per_scan"].value == pytest.approx(1 / 6)
    assert summaries[LIVER].metrics["dice_of_found"].value == pytest.approx(0.75)
    assert summaries[LIVER].metrics["dice_per_lesion"].value == pytest.approx(0.75 * 3 / 4)
    assert summaries[LIVER].metrics["size_error_mm"].value == pytest.approx(-2)
    assert summaries[LIVER].metrics["absolute_size_error_mm"].value == pytest.approx(2)
    alarms = whole.lesion_free
    assert (alarms["false_alarms_per_scan"].value, alarms["false_alarms_per_scan"].scans) == (0.5, 2)
    assert alarms["scans_with_false_alarm"].value == 0.5
    assert summaries[PANCREAS].lesion_free["false_alarms_per_scan"].n == 0


def test_a_scan_with_another_kind_of_lesion_is_not_free_of_lesions() -> None:
    rows = [row("a", 1, 1, 0), row("a", 0, 0, 1, PANCREAS)]
    evaluation = of_rows(rows, [reference("a", 12, True)], [predicted("a", 0.5, "false positive", PANCREAS)])
    assert {each.lesion_free["false_alarms_per_scan"].n for each in summarise_lesions(evaluation)} == {0}


def shown(evaluation: LesionEvaluation) -> str:
    console = Console(width=190, record=True, file=io.StringIO())
    for table in lesion_tables(evaluation, summarise_lesions(evaluation)):
        console.print(table)
    return console.export_text()


def test_tables_say_n_interval_rule_and_caution() -> None:
    text = shown(mixed())
    for said in ("0.75 [", "4/4", "overlap (IoU) of at least 0.1", "fewer than 10 scans", "pancreatic lesion", "0.50"):
        assert said in text


def test_tables_leave_out_what_is_not_there() -> None:
    text = shown(of_rows([row("a", 0, 0, 1)], [], [predicted("a", math.nan, "false positive")]))
    assert "FROC" not in text
    assert "False alarms" in text
    assert "False alarms" not in shown(of_rows([row("a", 1, 1, 0)], [reference("a", 12, True)], []))


def test_unsure_predictions_are_told_under_the_curve() -> None:
    evaluation = replace(mixed(), predictions=(predicted("a", math.nan, "hit"),))
    assert "1 predictions have no confidence" in " ".join(shown(evaluation).split())


def test_files_hold_what_the_evaluation_holds(tmp_path: Path) -> None:
    evaluation = mixed()
    out = write_lesions(evaluation, tmp_path)
    content = json.loads((out / "lesions.json").read_text())
    assert content == json.loads(json.dumps(lesions_json(evaluation)))
    assert content["structures"][-1]["froc"]["predictions"] == 5
    with (out / "lesions.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [(each["case"], each["found"], each["size_error_mm"]) for each in rows][3] == ("d", "False", "")
    with (out / "lesion_summary.csv").open(newline="") as lines:
        values = {(each["structure"], each["metric"], each["size"]): each for each in csv.DictReader(lines)}
    assert values[LIVER, "sensitivity", "10-20 mm"]["value"] == "0.75"
    assert values[ALL, "sensitivity_at_1_false_positives_per_scan", ""]["n"] == "5"
    assert (out / "froc.csv").read_text().startswith("structure,confidence,false_positives_per_scan,sensitivity\n")


def test_rows_of_finished_cases_are_kept_whatever_comes(tmp_path: Path) -> None:
    large = box((20, 10, 8), (8, 8, 6))
    for name in "ab":
        write_case(tmp_path / "cases" / name, {LIVER: large})
    write_masks(tmp_path / "found" / "a", {LIVER: union([large])})
    with pytest.raises(Exception, match="E_PREDICTION"):
        evaluate_lesions(
            find_cases([tmp_path / "cases"]), FolderPredictor(tmp_path / "found"), keep=lesions_writer(tmp_path / "out")
        )
    assert len((tmp_path / "out" / "lesions.csv").read_text().splitlines()) == 2


def test_the_figure_is_drawn_where_there_is_a_curve(tmp_path: Path) -> None:
    picture = write_froc_figure(summarise_lesions(mixed()), tmp_path)
    assert picture is not None
    assert Image.open(picture).size[0] > 600
    assert write_froc_figure(summarise_lesions(of_rows([row("a", 0, 0, 1)], [], [])), tmp_path) is None


def test_rates_are_those_of_the_field() -> None:
    assert RATES == (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
