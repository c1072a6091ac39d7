"""`bodymaps evaluate lesions` on phantoms: a model, a folder of masks, and what is told when neither fits."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from assistant import api, cli
from tests.fakes import LabelMapSegmenter
from tests.vision.arms_cases import arms_of
from vision.benchmark import arms
from vision.benchmark.arms import ArmsComparison, ArmsConfig
from vision.geometry import Mask
from vision.io import write_ct, write_mask
from vision.phantom import Lesion, make_phantom
from vision.synthesis.tumours import Engine

STRUCTURE = "liver_lesion"


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LabelMapSegmenter]:
    """Two phantoms on one grid, one with a lesion of 30 mm and one without, and a segmenter that always marks it."""
    folder = tmp_path_factory.mktemp("cases")
    marks: dict[str, Mask] = {}
    for name, lesions in (("ill", (Lesion(STRUCTURE, "right", 30.0),)), ("well", ())):
        phantom = make_phantom(spacing_mm=(4.0, 4.0, 5.0), lesions=lesions)
        mask = phantom.masks.get(STRUCTURE)
        written = mask or Mask(np.zeros(phantom.ct.grid.shape, dtype=bool), phantom.ct.grid, STRUCTURE)
        write_ct(phantom.ct, folder / name / "ct.nii.gz")
        write_mask(written, folder / name / "segmentations" / f"{STRUCTURE}.nii.gz")
        if mask:
            marks[STRUCTURE] = replace(mask, score=0.9)
    return folder, LabelMapSegmenter(marks)


@pytest.fixture
def evaluate(cases: tuple[Path, LabelMapSegmenter], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    folder, segmenter = cases

    def run(*words: str, code: int = 0) -> None:
        monkeypatch.setattr(api, "default_segmenter", lambda: segmenter)
        monkeypatch.setattr(sys, "argv", ["bodymaps", "evaluate", "lesions", str(folder), *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert (ended.value.code or 0) == code

    return run


def test_a_model_is_scored_lesion_by_lesion_and_everything_is_saved(
    evaluate: Callable[..., None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    evaluate("--out", str(tmp_path))
    told = " ".join(capsys.readouterr().out.split())
    assert "Sensitivity by size" in told
    assert "1.00 1/1" in told
    assert "False alarms on CTs without lesions" in told
    assert {path.name for path in tmp_path.iterdir()} == {
        *("lesions.csv", "predicted_lesions.csv", "lesion_cases.csv", "lesion_summary.csv"),
        *("froc.csv", "froc.png", "lesions.json", "reliability.csv", "reliability_bins.csv"),
        *("reliability.json", "reliability.png"),
    }
    content = json.loads((tmp_path / "lesions.json").read_text())
    assert content["structures"][0]["lesion_free"]["false_alarms_per_scan"]["value"] == 1.0
    assert content["structures"][0]["sensitivity_by_size"]["> 20 mm"]["n"] == 1


def test_masks_of_a_folder_are_scored_instead_of_a_model(
    evaluate: Callable[..., None], cases: tuple[Path, LabelMapSegmenter], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("--predictions", str(cases[0]), "--json", "--iou", "0.5")
    content = json.loads(capsys.readouterr().out)
    assert content["predictor"] == "masks in a folder"
    assert [row["dice"] for row in content["lesions"]] == [1.0]
    assert content["structures"][0]["false_positives_per_scan"]["value"] == 0.0


def test_a_model_and_a_folder_at_once_are_refused(
    evaluate: Callable[..., None], cases: tuple[Path, LabelMapSegmenter], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("--predictions", str(cases[0]), "--model", "universal", code=2)
    assert "E_PREDICTIONS" in capsys.readouterr().err


def test_a_model_without_lesions_is_told_as_such(
    evaluate: Callable[..., None],
    cases: tuple[Path, LabelMapSegmenter],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cases[1], "structures", frozenset({"liver"}))
    evaluate(code=2)
    said = capsys.readouterr().err
    assert "E_NO_LESIONS" in said
    assert "--predictions FOLDER" in said


def test_what_is_left_out_is_told(
    evaluate: Callable[..., None],
    cases: tuple[Path, LabelMapSegmenter],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    (tmp_path / "annotated.csv").write_text(f"case,annotated\nill,{STRUCTURE} kidney_cyst\nwell,liver\n")
    evaluate("--annotated", str(tmp_path / "annotated.csv"))
    said = capsys.readouterr().err
    assert "not searched for by label map: kidney_cyst" in said
    assert "Left out: 1 cases that say nothing about lesions" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--arms", "real"), "The arms are not real and synthetic"),
        (("--arms", "real,synthetic"), "need a folder to train in"),
        (("--arms", "real,synthetic", "--model", "universal"), "so no model is asked"),
    ],
)
def test_arms_that_cannot_be_compared_are_refused(
    words: tuple[str, ...], said: str, evaluate: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(*words, code=2)
    told = " ".join(capsys.readouterr().err.split())
    assert "E_ARMS" in told
    assert said in told


def test_two_arms_are_compared_printed_and_saved(
    evaluate: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    asked: list[ArmsConfig] = []

    def compared(cases: object, out: Path, config: ArmsConfig, *, engine: Engine, progress: object) -> ArmsComparison:
        asked.append(config)
        return arms_of(engine.name)

    monkeypatch.setattr(arms, "compare_arms", compared)
    words = ("--structures", STRUCTURE, "--seeds", "4", "--steps", "7", "--engine", "cellular-automaton")
    evaluate("--arms", "synthetic,real", "--out", str(tmp_path), *words)
    told = " ".join(capsys.readouterr().out.split())
    assert "Real against synthetic" in told
    assert "+0.50 [" in told
    assert "cellular-automaton in the same CTs" in told
    assert {path.name for path in tmp_path.iterdir()} == {"arms.json", "arms.csv"}
    assert (asked[0].seeds, asked[0].recipe.steps, asked[0].structures) == (4, 7, frozenset({STRUCTURE}))
