"""The Python way in: files, arrays, and a plan without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import assistant
from assistant import api
from assistant.plan import SkillCall
from tests.assistant.small_scenes import PlanOf, call, phantom
from tests.fakes import LabelMapSegmenter
from vision.errors import InputRefused
from vision.geometry import Mask
from vision.io import load_ct, write_ct


@pytest.fixture
def ct_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The phantom as NIfTI, and the true masks as the shipped model."""
    segmenter = LabelMapSegmenter(phantom().masks)
    monkeypatch.setattr(api, "default_segmenter", lambda: segmenter)
    return write_ct(phantom().ct, tmp_path / "ct.nii.gz")


def test_a_path_and_a_question_give_an_answer_and_its_files(ct_file: Path, tmp_path: Path) -> None:
    answer = api.ask(ct_file, "Segment the liver and the left kidney and tell me their volumes", out=tmp_path / "out")
    assert [finding.structure for finding in answer.findings] == ["liver", "kidney_left"]
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert written == [
        "answer.json",
        "combined_labels.json",
        "combined_labels.nii.gz",
        "masks/kidney_left.nii.gz",
        "masks/liver.nii.gz",
        "preview.png",
    ]
    assert answer.record.seconds["open"] > 0


def test_a_string_is_a_path_and_nothing_is_written_without_out(ct_file: Path) -> None:
    before = sorted(ct_file.parent.iterdir())
    assert api.ask(str(ct_file), "Where is the spleen?").findings[0].structure == "spleen"
    assert sorted(ct_file.parent.iterdir()) == before


def test_an_open_ct_is_taken_as_it_is() -> None:
    made = phantom()
    steps: list[str] = []
    conversation = api.open_ct(
        made.ct,
        segmenter=LabelMapSegmenter(made.masks),
        planner=PlanOf(call("segment", "spleen")),
        progress=lambda step, share: steps.append(step),
    )
    assert conversation.ct is made.ct
    assert steps == ["opening the CT"]
    assert conversation.ask("?").record.planner == "fixed"


def test_the_seconds_of_opening_count_once(ct_file: Path) -> None:
    conversation = api.open_ct(ct_file)
    first, second = conversation.ask("help"), conversation.ask("help")
    assert first.record.seconds["open"] > 0
    assert second.record.seconds["open"] == 0


def test_a_file_that_is_no_ct_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ct.nii.gz").write_text("hello")
    with pytest.raises(InputRefused, match="E_"):
        api.ask(tmp_path / "ct.nii.gz", "Segment the liver")


def test_a_written_phantom_reads_back_with_its_voxels(ct_file: Path) -> None:
    ct = load_ct(ct_file)
    assert ct.grid.matches(phantom().ct.grid)
    np.testing.assert_array_equal(ct.hu, phantom().ct.hu)
    Mask(phantom().masks["liver"].voxels, ct.grid, "liver").require_grid(phantom().ct.grid)


def test_a_plan_needs_no_ct() -> None:
    assert api.plan_question("What is the volume of the spleen?") == [
        SkillCall(name="measure", arguments={"structures": ["spleen"], "quantities": ["volume"]})
    ]


def test_the_package_offers_its_way_in() -> None:
    assert assistant.ask is api.ask
    assert assistant.open_ct is api.open_ct
    assert assistant.plan_question is api.plan_question


def test_planning_imports_no_torch() -> None:
    program = (
        "import sys; from assistant import plan_question; plan_question('segment the liver');"
        "print([name for name in ('torch', 'gradio', 'nibabel', 'pydicom') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
