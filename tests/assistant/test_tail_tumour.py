"""The demo person's tumour of 25 mm in the tail of the pancreas: through Python, the command line and the chat."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from assistant import api, cli
from assistant.language.rules import RulePlanner
from assistant.records import AnswerRecord, Finding
from assistant.serve.desk import Desk
from assistant.serve.sessions import Sessions
from assistant.serve.settings import DEFAULTS
from assistant.serve.uploads import Uploads
from assistant.serve.workers.line import Line
from assistant.serve.workers.local import LocalConversation
from tests.assistant.small_scenes import phantom
from tests.fakes import LabelMapSegmenter
from vision.io import write_ct

QUESTION = "Segment the tumour in the tail of the pancreas and then measure its size."


@pytest.fixture
def ct_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    segmenter = LabelMapSegmenter(phantom().masks)
    monkeypatch.setattr(api, "default_segmenter", lambda: segmenter)
    return write_ct(phantom().ct, tmp_path / "ct.nii.gz")


def assert_true(lesion: Finding, text: str) -> None:
    """25 mm within 2 mm, in the tail, with a box around the truth."""
    axis, truth = lesion.measurement("long_axis"), phantom().masks["pancreas_lesion"].box
    assert axis is not None
    assert axis.value == pytest.approx(25, abs=2)
    assert (lesion.structure, lesion.site.organ, lesion.site.part) == ("pancreas_lesion", "pancreas", "tail")
    assert "in the tail of the pancreas" in text
    assert f"measures {axis.value:.0f} mm x " in text
    assert lesion.box is not None
    assert truth is not None
    assert (lesion.box.start, lesion.box.stop) == (truth.start, truth.stop)
    assert max(lesion.box.size_mm) == pytest.approx(25, abs=4)


def test_python_answers_it(ct_file: Path) -> None:
    answer = api.ask(ct_file, QUESTION)
    assert_true(answer.findings[0], answer.text)
    assert np.array_equal(answer.masks[answer.findings[0].id].voxels, phantom().masks["pancreas_lesion"].voxels)


def test_the_command_line_answers_it(
    ct_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        sys, "argv", ["bodymaps", "ask", str(ct_file), QUESTION, "--json", "--out", str(tmp_path / "out")]
    )
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    record = AnswerRecord.model_validate(json.loads(capsys.readouterr().out))
    assert_true(record.findings[0], record.text)
    assert (tmp_path / "out" / str(record.findings[0].mask_file)).is_file()


def test_the_chat_answers_it(tmp_path: Path) -> None:
    made = phantom()
    opened = LocalConversation(made.ct, LabelMapSegmenter(made.masks), RulePlanner(), line=Line())
    uploads = Uploads(tmp_path / "uploads", settings=DEFAULTS)
    desk = Desk(lambda path, choices, progress: opened, lambda progress: Path("example.nii.gz"), uploads)
    session = Sessions(tmp_path / "sessions").start("tab", visitor="ann's browser")
    for steps in (desk.open_example(session), desk.talk(session, QUESTION, None)):
        for _ in steps:
            pass
    assert_true(opened.findings[0], str(session.messages[-1]["content"]))
    assert opened.masks()[opened.findings[0].id].count == made.masks["pancreas_lesion"].count
