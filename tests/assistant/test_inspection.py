"""What `bodymaps inspect` tells of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant import inspection
from assistant.inspection import inspect_ct, inspection_text, skills_here
from assistant.plan import SKILL_NAMES
from vision.errors import InputRefused
from vision.geometry import Notice
from vision.io import Choices, write_ct
from vision.phantom import make_phantom


@pytest.fixture(scope="module")
def ct_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ct(make_phantom(spacing_mm=(4.0, 4.0, 5.0)).ct, tmp_path_factory.mktemp("ct") / "ct.nii.gz")


def test_ct_is_described_with_its_skills(ct_file: Path) -> None:
    told = inspect_ct(ct_file)
    assert told["ct"]["spacing_mm"] == [4.0, 4.0, 5.0]
    assert set(told["skills"]) <= set(SKILL_NAMES)
    text = inspection_text(told)
    assert "of 4 x 4 x 5 mm, axes " in text
    assert "shows    chest 55 mm, abdomen 250 mm" in text
    assert "phase    unknown" in text
    assert "describe" in text


def test_several_series_are_listed_to_choose_from(ct_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ambiguous(path: Path, *, choices: Choices) -> None:
        raise InputRefused("E_SERIES_AMBIGUOUS", "Two series.", "Choose.")

    rows = [*inspection.inventory(ct_file), *inspection.inventory(ct_file)]
    monkeypatch.setattr(inspection, "load_ct", ambiguous)
    monkeypatch.setattr(inspection, "inventory", lambda path: rows)
    told = inspect_ct(ct_file)
    assert told["ct"] is None
    assert "choose one with --series" in inspection_text(told)
    with pytest.raises(InputRefused, match="E_SERIES_AMBIGUOUS"):
        inspect_ct(ct_file, choices=Choices(series="9"))


def test_a_warning_of_the_ct_stands_at_the_skills_it_touches() -> None:
    plain = skills_here()
    here = skills_here([Notice("W_NON_CONTRAST", "No contrast."), Notice("W_METAL", "Metal.")])
    assert here["detect"] == f"{plain['detect']} In this CT, without contrast medium, an empty search proves nothing."
    assert here["describe"] == plain["describe"]


def test_file_that_is_no_ct_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ct.nii.gz").write_text("hello")
    with pytest.raises(InputRefused, match="E_"):
        inspect_ct(tmp_path / "ct.nii.gz")


def test_without_a_model_every_skill_on_masks_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "describe_installation", lambda: {"structures": []})
    skills = skills_here()
    assert "no model is installed" in skills["segment"]
    assert "no model" not in skills["describe"]
