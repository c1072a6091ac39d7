"""`bodymaps evaluate vision`, `robustness` and `reliability` on a phantom whose masks the segmenter knows."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from assistant import api, cli
from tests.fakes import LabelMapSegmenter
from vision.benchmark import presentations, robustness
from vision.io import write_ct, write_label_map
from vision.phantom import make_phantom


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LabelMapSegmenter]:
    """A case folder, and a segmenter that finds exactly what its labels say."""
    folder = tmp_path_factory.mktemp("cases") / "one"
    phantom = make_phantom(spacing_mm=(4.0, 4.0, 5.0), lesions=())
    masks = {name: replace(phantom.masks[name], score=0.9) for name in ("liver", "spleen")}
    write_ct(phantom.ct, folder / "ct.nii.gz")
    write_label_map(list(masks.values()), folder / "labels.nii.gz")
    return folder, LabelMapSegmenter(masks)


@pytest.fixture
def evaluate(case: tuple[Path, LabelMapSegmenter], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    folder, segmenter = case

    def run(what: str, *words: str, code: int = 0) -> None:
        monkeypatch.setattr(api, "default_segmenter", lambda: segmenter)
        monkeypatch.setattr(
            sys, "argv", ["bodymaps", "evaluate", what, str(folder), "--order", "abdomenatlas1.1", *words]
        )
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert (ended.value.code or 0) == code

    return run


def test_perfect_masks_score_one(
    evaluate: Callable[..., None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    evaluate("vision", "--json", "--out", str(tmp_path / "out"), "--overlays", str(tmp_path / "sheets"))
    scores = {row["structure"]: row["dice"] for row in json.loads(capsys.readouterr().out)["scores"]}
    assert scores == {"liver": 1.0, "spleen": 1.0}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("results.csv", "dsc.csv", "nsd.csv", "summary.csv", "evaluation.json", "dice.png", "surface_dice.png")
    }
    assert [path.name for path in (tmp_path / "sheets").iterdir()] == ["one.png"]


def test_opening_is_timed_beside_the_plain_library(
    case: tuple[Path, LabelMapSegmenter], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ct = case[0] / "ct.nii.gz"
    for words in (["--json"], []):
        monkeypatch.setattr(sys, "argv", ["bodymaps", "benchmark-opening", str(ct), "--runs", "1", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code
    table = capsys.readouterr().out.rpartition("}\n")[2]
    assert "plain library" in table
    assert "times as long" in table


def test_table_names_the_structures(evaluate: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    evaluate("vision")
    shown = capsys.readouterr().out
    assert "liver" in shown
    assert "spleen" in shown


def test_only_chosen_structures_are_shown(evaluate: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    evaluate("vision", "--structures", "spleen")
    assert "liver" not in capsys.readouterr().out


def test_what_is_annotated_may_stand_in_a_table(
    evaluate: Callable[..., None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "annotated.csv").write_text("case,annotated\none,spleen stomach\n")
    evaluate("vision", "--json", "--annotated", str(tmp_path / "annotated.csv"))
    told = capsys.readouterr()
    assert [row["structure"] for row in json.loads(told.out)["scores"]] == ["spleen"]
    assert "stomach (1)" in told.err


def test_unknown_model_is_named_as_such(evaluate: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    evaluate("vision", "--model", "nonesuch", code=6)
    assert "E_MODEL" in capsys.readouterr().err


def test_robustness_shows_every_presentation_and_saves_it(
    evaluate: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(robustness, "presentations", lambda: presentations()[-1:])
    evaluate("robustness", "--out", str(tmp_path))
    assert "HU -125 to 275 in 8 bits" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"robustness.csv", "robustness_worst.csv", "robustness.json"}
    evaluate("robustness", "--json")
    assert {row["kind"] for row in json.loads(capsys.readouterr().out)["scores"]} == {"unchanged", "HU"}


def test_reliability_says_n_and_draws_its_figure(
    evaluate: Callable[..., None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    evaluate("reliability", "--out", str(tmp_path))
    assert "2 masks of 1 cases" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {
        *("reliability.csv", "reliability_bins.csv", "reliability.json", "reliability.png")
    }
    evaluate("reliability", "--json")
    assert json.loads(capsys.readouterr().out)["n"] == 2
