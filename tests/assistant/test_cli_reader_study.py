"""`bodymaps synthesize reader-study`: export, score and proxy on small cases."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from assistant import cli
from tests.vision.reader_crops import study_cases

ANSWERS = {"format": "bodymaps-reader-study-answers-1"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("study")
    study_cases(folder / "real", "abc")
    study_cases(folder / "painted", "def")
    return folder / "real", folder / "painted"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def run(*words: str, code: int = 0) -> None:
        monkeypatch.setattr(sys, "argv", ["bodymaps", "synthesize", "reader-study", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert (ended.value.code or 0) == code

    return run


def test_a_study_is_exported_answered_and_scored(
    run: Callable[..., None],
    folders: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    real, painted = folders
    run("export", str(real), "--painted", f"handcrafted={painted}", "--out", str(tmp_path), "--most", "2")
    told = capsys.readouterr().err
    assert "2 real lesions and as many painted: 2 by handcrafted" in told
    key = json.loads((tmp_path / "key.json").read_text())
    right = {item: row["truth"] for item, row in key["items"].items()}
    (tmp_path / "answers.json").write_text(json.dumps({**ANSWERS, "study": key["study"], "answers": right}))
    run("score", str(tmp_path / "answers.json"), "--key", str(tmp_path / "key.json"))
    assert "4/4 1.00 [0.51, 1.00]" in capsys.readouterr().out
    run("score", str(tmp_path / "answers.json"), "--key", str(tmp_path / "key.json"), "--json")
    assert json.loads(capsys.readouterr().out)[0]["sensitivity"]["n"] == 2


def test_the_proxy_prints_an_auc_for_each_engine(
    run: Callable[..., None], folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run("proxy", str(folders[0]), "--painted", f"handcrafted={folders[1]}")
    assert "handcrafted" in capsys.readouterr().out


def test_the_proxy_is_told_to_programs_as_json(
    run: Callable[..., None], folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run("proxy", str(folders[0]), "--painted", f"handcrafted={folders[1]}", "--json")
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["engine"], row["painted_cases"], row["real_cases"]) == ("handcrafted", 3, 3)


@pytest.mark.parametrize("words", ["handcrafted", "=folder", "handcrafted="])
def test_painted_cases_without_engine_or_folder_are_refused(
    run: Callable[..., None], folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str], words: str
) -> None:
    run("proxy", str(folders[0]), "--painted", words, code=2)
    assert "E_PAINTED" in capsys.readouterr().err
