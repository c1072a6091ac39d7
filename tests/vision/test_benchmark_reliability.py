"""Confidence against Dice: bins, the expected calibration error, and the fit that puts confidence right."""

from __future__ import annotations

import io
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from vision.benchmark import CaseScore, fit_calibration, measure_reliability
from vision.benchmark.figures import require_matplotlib, write_figures, write_reliability_figure
from vision.benchmark.reliability import reliability_table, write_reliability
from vision.errors import UsageError
from vision.models.calibration import calibrate


def score(confidence: float, dice: float, *, case: str = "a", structure: str = "liver", ml: float = 10.0) -> CaseScore:
    return CaseScore(
        case=case,
        structure=structure,
        dice=dice,
        surface_dice=dice,
        reference_ml=10.0,
        predicted_ml=ml,
        volume_error_ml=0.0,
        volume_error_percent=0.0,
        confidence=confidence,
        seconds=0.1,
    )


def test_error_is_the_mean_distance_of_confidence_and_dice_over_the_masks() -> None:
    high = [score(0.95, 0.85, case=case) for case in "abcdef"]
    low = [score(0.55, 0.75, case=case) for case in "abcde"]
    measured = measure_reliability([*high, *low])
    assert [(row.low, row.high, row.n) for row in measured.bins] == [(0.55, 0.55, 5), (0.95, 0.95, 6)]
    assert measured.expected_error == pytest.approx((6 * 0.1 + 5 * 0.2) / 11)
    assert (measured.n, measured.cases) == (11, 6)


def test_distances_in_one_bin_cancel_and_those_of_two_do_not() -> None:
    rows = [score(0.9, 1.0)] * 5 + [score(1.0, 0.9)] * 5
    assert measure_reliability(rows, bins=1).expected_error == pytest.approx(0.0)
    assert measure_reliability(rows, bins=2).expected_error == pytest.approx(0.1)


def test_bins_hold_equal_numbers_of_masks_and_never_fewer_than_five() -> None:
    rng = np.random.default_rng(0)
    rows = [score(1 - 0.1 * float(value), 0.8) for value in rng.uniform(size=52)]
    assert [row.n for row in measure_reliability(rows).bins] == [5, 5, 5, 5, 6, 5, 5, 5, 5, 6]
    assert [row.n for row in measure_reliability(rows[:9]).bins] == [9]


def test_masks_without_confidence_are_counted_and_left_out() -> None:
    measured = measure_reliability([score(math.nan, 0.9), score(math.nan, 0.0, ml=0.0), score(0.9, math.nan)])
    assert (measured.n, measured.unscored) == (0, 1)
    assert math.isnan(measured.expected_error)
    assert measured.slope is None


def test_reliability_needs_a_bin() -> None:
    with pytest.raises(ValueError, match="at least 1 bin"):
        measure_reliability([], bins=0)


def test_fit_finds_the_line_that_made_the_dice() -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.05, 0.99, 4000)
    truth = 1 / (1 + np.exp(-(0.6 * np.log(scores / (1 - scores)) - 0.4)))
    slope, intercept = fit_calibration(scores.tolist(), truth.tolist())
    assert slope == pytest.approx(0.6, abs=0.01)
    assert intercept == pytest.approx(-0.4, abs=0.01)


def test_fit_leaves_a_calibrated_score_as_it_is() -> None:
    scores = np.linspace(0.05, 0.95, 2001).tolist()
    slope, intercept = fit_calibration(scores, scores)
    assert calibrate(0.8, (slope, intercept)) == pytest.approx(0.8, abs=0.005)
    assert calibrate(0.3, (1.0, 0.0)) == pytest.approx(0.3)


def test_fit_of_perfect_masks_is_finite() -> None:
    slope, intercept = fit_calibration([0.7, 0.9, 1.0], [1.0, 1.0, 1.0])
    assert math.isfinite(slope)
    assert math.isfinite(intercept)


def test_overconfident_scores_come_closer_to_dice_when_calibrated() -> None:
    rng = np.random.default_rng(1)
    dice = rng.uniform(0.4, 0.8, 60)
    scores = np.clip(dice + 0.2 + rng.normal(0, 0.02, 60), 0, 1)
    slope, intercept = fit_calibration(scores.tolist(), dice.tolist())
    after = [calibrate(value, (slope, intercept)) for value in scores]
    assert np.abs(np.array(after) - dice).mean() < 0.05 < np.abs(scores - dice).mean()


@pytest.mark.parametrize("scores", [[], [0.9, 0.8], [0.9, 0.9, 0.9]])
def test_too_few_different_scores_are_refused(scores: list[float]) -> None:
    with pytest.raises(UsageError, match="E_CALIBRATION"):
        fit_calibration(scores, [0.5] * len(scores))


def test_fit_refuses_values_that_are_no_shares() -> None:
    with pytest.raises(ValueError, match="lie in"):
        fit_calibration([0.5, 0.6, 1.2], [0.5, 0.5, 0.5])
    with pytest.raises(ValueError, match="a Dice for each score"):
        fit_calibration([0.5, 0.6, 0.7], [0.5])


def test_tables_and_files_of_reliability_say_n(tmp_path: Path) -> None:
    measured = measure_reliability([score(0.95, 0.9), score(0.91, 0.8), score(0.97, 0.7), score(0.4, 0.5)])
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(reliability_table(measured))
    told = console.export_text()
    assert "4 masks of 1 cases" in told
    assert "0.400 to 0.970" in told
    assert "slope" in told
    out = write_reliability(measured, tmp_path)
    assert (out / "reliability.csv").read_text().splitlines()[1] == "a,liver,0.4,0.5"
    assert (out / "reliability_bins.csv").read_text().splitlines()[1].startswith("0.4,0.97,0.8075,4,0.725,0.75,")
    assert json.loads((out / "reliability.json").read_text())["n"] == 4


def test_table_without_masks_says_so() -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(reliability_table(measure_reliability([])))
    assert "too few masks" in console.export_text()


def is_drawn(path: Path) -> bool:
    with Image.open(path) as picture:
        return len(picture.convert("L").getcolors(256) or []) > 10 and min(picture.size) > 150


@pytest.mark.parametrize("rows", [[], [score(0.9, 0.8)], [score(0.9, 0.1 * n, structure="spleen") for n in range(8)]])
def test_figures_are_drawn_for_no_for_one_and_for_many_cases(tmp_path: Path, rows: list[CaseScore]) -> None:
    files = write_figures([*rows, score(0.9, math.nan, structure="aorta")], tmp_path)
    files.append(write_reliability_figure(measure_reliability(rows), tmp_path))
    assert [file.name for file in files] == ["dice.png", "surface_dice.png", "reliability.png"]
    assert all(is_drawn(file) for file in files)


def test_same_scores_draw_the_same_bytes(tmp_path: Path) -> None:
    rows = [score(0.9, 0.1 * n) for n in range(8)]
    first, second = (write_figures(rows, tmp_path / name)[0].read_bytes() for name in "ab")
    assert first == second


def test_missing_matplotlib_is_told_with_the_command_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"E_EXTRA: .*pip install matplotlib"):
        require_matplotlib()
