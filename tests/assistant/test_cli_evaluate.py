"""`bodymaps evaluate cases` on a phantom whose masks the segmenter knows."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from assistant import api, cli
from tests.fakes import LabelMapSegmenter
from vision.io import write_ct, write_label_map
from vision.phantom import make_phantom


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LabelMapSegmenter]:
    """A case folder, and a segmenter that finds exactly what its labels say."""
    folder = tmp_path_factory.mktemp("cases") / "one"
    phantom = make_phantom(spacing_mm=(4.0, 4.0, 5.0), lesions=())
    masks = {name: phantom.masks[name] for name in ("liver", "spleen")}
    write_ct(phantom.ct, folder / "ct.nii.gz")
    write_label_map(list(masks.values()), folder / "labels.nii.gz")
    return folder, LabelMapSegmenter(masks)


@pytest.fixture
def evaluate(case: tuple[Path, LabelMapSegmenter], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    folder, segmenter = case

    def run(*words: str) -> None:
        monkeypatch.setattr(api, "default_segmenter", lambda: segmenter)
        monkeypatch.setattr(
            sys, "argv", ["bodymaps", "evaluate", "cases", str(folder), "--order", "abdomenatlas1.1", *words]
        )
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code

    return run


def test_perfect_masks_score_one(
    evaluate: Callable[..., None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    evaluate("--json", "--out", str(tmp_path / "out"))
    scores = {row["structure"]: row["dice"] for row in json.loads(capsys.readouterr().out)["scores"]}
    assert scores == {"liver": 1.0, "spleen": 1.0}
    assert (tmp_path / "out" / "scores.csv").is_file()


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
    evaluate()
    shown = capsys.readouterr().out
    assert "liver" in shown
    assert "spleen" in shown
