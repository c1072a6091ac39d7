"""A batch through the whole engine: real files in, masks on their own grids and tables out."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from assistant.batch import run_batch
from assistant.records import AnswerRecord
from tests.assistant.killed import contents
from tests.fakes import BoxSegmenter
from vision.io import write_ct
from vision.phantom import make_phantom

TIMED = frozenset({"run.json", "timings.jsonl"})
QUESTION = "Segment the liver and the spleen and tell me their volumes."


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small CTs, and a text that is none."""
    folder = tmp_path_factory.mktemp("cases")
    write_ct(make_phantom(seed=0, spacing_mm=(5.0, 5.0, 6.0)).ct, folder / "first.nii.gz")
    write_ct(make_phantom(seed=3, spacing_mm=(5.0, 6.0, 5.0)).ct, folder / "second" / "ct.nii.gz")
    (folder / "text.nii.gz").write_text("not a CT")
    return folder


def batch(cases: Path, out: Path) -> None:
    result = run_batch([cases], out, question=QUESTION, segmenter=BoxSegmenter(), case_names=True)
    assert set(result.failures) == {"text"}


def test_masks_lie_on_the_grid_of_their_ct(cases: Path, tmp_path: Path) -> None:
    batch(cases, tmp_path / "out")
    ct = nib.load(cases / "second" / "ct.nii.gz")
    mask = nib.load(tmp_path / "out" / "second" / "masks" / "liver.nii.gz")
    assert mask.shape == ct.shape
    np.testing.assert_allclose(mask.affine, ct.affine, atol=1e-4)


def test_volumes_in_the_tables_are_those_of_the_answer(cases: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    batch(cases, out)
    row = json.loads((out / "results.jsonl").read_text().splitlines()[0])
    record = AnswerRecord.model_validate_json((out / "first" / "answer.json").read_text())
    assert row["findings"] == [finding.model_dump(mode="json") for finding in record.findings]
    volume = record.findings[0].measurement("volume")
    assert volume is not None
    assert f"{volume.value:.3f}" in (out / "summary.csv").read_text()


def test_two_runs_leave_the_same_bytes(cases: Path, tmp_path: Path) -> None:
    batch(cases, tmp_path / "a")
    batch(cases, tmp_path / "b")
    files = contents(tmp_path / "a", without=TIMED)
    assert files == contents(tmp_path / "b", without=TIMED)
    assert {"results.jsonl", "summary.csv", "first/masks/liver.nii.gz", "second/preview.png"} <= set(files)
