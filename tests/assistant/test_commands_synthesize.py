"""`bodymaps synthesize IN OUT` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from assistant import api
from assistant.cli import app
from tests.fakes import LabelMapSegmenter
from tests.vision.tumours.bodies import organ_in_fat
from vision.errors import UsageError
from vision.geometry import CTVolume, Grid, Mask
from vision.io import write_ct, write_mask


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    hu, organ = organ_in_fat(160, spacing=(2.5, 2.5, 2.5))
    grid = Grid((hu.shape[0], hu.shape[1], hu.shape[2]), np.diag((2.5, 2.5, 2.5, 1.0)))
    write_ct(CTVolume(hu, grid), tmp_path / "in" / "one" / "ct.nii.gz")
    write_mask(Mask(organ, grid, "liver"), tmp_path / "in" / "one" / "segmentations" / "liver.nii.gz")
    return tmp_path / "in"


def test_the_plain_form_paints_tumours_and_shows_them(cases: Path, tmp_path: Path) -> None:
    out, sheet = tmp_path / "out", tmp_path / "sheet.png"
    arguments = ["synthesize", str(cases), str(out), "--organ", "liver", "--count", "2", "--size-mm", "8..14"]
    result = CliRunner().invoke(app, [*arguments, "--words", "hypodense", "--seed", "0", "--sheet", str(sheet)])
    assert result.exit_code == 0
    assert "Painted 1 CTs" in result.stderr
    tumours = json.loads((out / "one" / "tumours.json").read_text())["tumours"]
    assert [tumour["attenuation"] for tumour in tumours] == ["hypo", "hypo"]
    assert all(7 < tumour["equivalent_diameter_mm"] < 15 for tumour in tumours)
    assert sheet.is_file()


def test_options_may_come_first_and_the_command_may_be_named(cases: Path, tmp_path: Path) -> None:
    first = CliRunner().invoke(app, ["synthesize", "--size-mm", "9", str(cases), str(tmp_path / "a")])
    named = CliRunner().invoke(app, ["synthesize", "tumours", "--size-mm", "9", str(cases), str(tmp_path / "b")])
    assert (first.exit_code, named.exit_code) == (0, 0)


def test_confusers_are_painted_too_and_a_sheet_shows_chosen_tumours(cases: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["synthesize", str(cases), str(out), "--organ", "liver", "--count", "2", "--size-mm", "9"]
    assert CliRunner().invoke(app, [*arguments, "--confusers", "2"]).exit_code == 0
    assert len(json.loads((out / "one" / "tumours.json").read_text())["painted_confusers"]) == 2
    shown = ["synthesize", "sheet", str(cases), str(out), "--png", str(tmp_path / "few.png"), "--only"]
    assert CliRunner().invoke(app, [*shown, "2"]).exit_code == 0
    assert (tmp_path / "few.png").is_file()
    refused = CliRunner().invoke(app, [*shown, "best"])
    assert "not a list of numbers" in str(refused.exception)


def test_a_gate_that_has_learned_no_lesions_is_refused(
    cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "named_segmenter", lambda name: LabelMapSegmenter({}))
    gated = ["synthesize", str(cases), str(tmp_path / "out"), "--organ", "liver", "--gate", "blind"]
    refused = CliRunner().invoke(app, gated)
    assert isinstance(refused.exception, UsageError)
    assert refused.exception.code == "E_NO_LESIONS"


def test_growth_is_animated_from_a_ct_and_its_masks(cases: Path, tmp_path: Path) -> None:
    gif, one = tmp_path / "growth.gif", cases / "one"
    arguments = ["synthesize", "growth", str(one / "ct.nii.gz"), str(one), "--out", str(gif)]
    assert CliRunner().invoke(app, [*arguments, "--size-mm", "24"]).exit_code == 0
    assert gif.read_bytes().startswith(b"GIF8")
    other = CliRunner().invoke(app, [*arguments, "--organ", "pancreas"])
    assert "The pancreas is not annotated" in str(other.exception)
    twice = CliRunner().invoke(app, [*arguments, "--size-mm", "24", "--words", "small"])
    assert "both say a size" in str(twice.exception)


def test_masks_on_another_grid_do_not_grow_a_tumour(cases: Path, tmp_path: Path) -> None:
    grid = Grid((8, 8, 8), np.eye(4))
    write_mask(Mask(np.ones(grid.shape, dtype=bool), grid, "liver"), tmp_path / "masks" / "liver.nii.gz")
    ct = cases / "one" / "ct.nii.gz"
    arguments = ["synthesize", "growth", str(ct), str(tmp_path / "masks"), "--out", str(tmp_path / "growth.gif")]
    refused = CliRunner().invoke(app, arguments)
    assert "do not lie on the CT" in str(refused.exception)


def test_the_other_commands_and_the_help_are_still_there() -> None:
    assert "MAPS" in CliRunner().invoke(app, ["synthesize", "anatomy", "--help"]).output
    listed = CliRunner().invoke(app, ["synthesize", "--help"]).output
    assert "tumours" in listed
    assert "anatomy" in listed


def test_a_refused_case_ends_with_exit_code_4(cases: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["synthesize", str(cases), str(tmp_path / "out"), "--organ", "colon"])
    assert result.exit_code == 4
    assert "E_TUMOUR_ORGAN" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--organ", "spleen"], "not one of those"),
        (["--organ", "liver", "--words", "pancreatic tumour"], "different organs"),
        (["--words", "small", "--size-mm", "5..9"], "both say a size"),
        (["--size-mm", "much"], "not a range of mm"),
        (["--engine", "real-shape"], "folder of tumour shapes"),
    ],
)
def test_what_contradicts_or_is_unknown_is_refused(options: list[str], said: str, cases: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["synthesize", str(cases), str(tmp_path / "out"), *options])
    assert isinstance(result.exception, UsageError)
    assert said in str(result.exception)
