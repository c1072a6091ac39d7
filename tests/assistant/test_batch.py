"""A batch: which cases it finds, that a killed and resumed run ends like an undisturbed one, and what it refuses."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path

import pytest

from assistant.answer import Answer
from assistant.batch import BatchResult, answering, run_batch
from assistant.batch.answering import Setting
from assistant.batch.cases import BatchCase
from assistant.batch.marker import read_marker
from assistant.records import AnswerRecord, Finding, Measurement, Status, Step, WarningRecord
from tests.assistant.fake_conversation import small_ct
from tests.assistant.killed import contents
from tests.fakes import BoxSegmenter
from vision.errors import Cancelled, InputRefused, UsageError
from vision.io import Choices
from vision.segmenter import Progress

TIMED = frozenset({"run.json", "timings.jsonl"})
"""What may differ between two runs over the same cases."""


def finding(number: int, structure: str, volume_ml: float) -> Finding:
    volume = Measurement(
        id=f"F{number}.volume", quantity="volume", value=volume_ml, unit="mL", method="voxel count x voxel volume"
    )
    return Finding(id=f"F{number}", structure=structure, status=Status.SEEN, confidence=0.9, measurements=(volume,))


def answer_by_size(case: BatchCase, setting: Setting, progress: Progress) -> Answer:
    """The liver has as many mL as the file has bytes; a file that says 'bad' is refused."""
    progress("looking", 0.5)
    text = case.input.read_text()
    if text == "bad":
        raise InputRefused("E_NOT_A_CT", f"{case.input.name} is no CT.", "Give a CT.")
    if text == "bug":
        raise ZeroDivisionError("secret path")
    lesions = (finding(2, "liver_lesion", 1.5), finding(3, "liver_lesion", 2.5))
    record = AnswerRecord(
        question=case.question,
        text="A liver.",
        findings=(finding(1, "liver", float(len(text))), *lesions),
        warnings=(WarningRecord(code="W_PARTIAL", text="Cut."),),
        planner="rules",
        segmenter=setting.segmenter.name,
        trace=(Step(skill="segment", detail="liver", seconds=time.monotonic()),),
        seconds={"total": time.monotonic()},
    )
    return Answer(record, {}, small_ct((4, 4, 4)))


@pytest.fixture(autouse=True)
def _fake_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "answer_case", answer_by_size)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five cases, the third refused."""
    place = tmp_path / "cts"
    place.mkdir()
    for number, text in enumerate(["a", "bb", "bad", "dddd", "eeeee"]):
        (place / f"case{number}.nii.gz").write_text(text)
    return place


def batch(folder: Path, out: Path, **options) -> BatchResult:
    """The files are no patients' here, and tests read better with their names."""
    return run_batch([folder], out, **({"segmenter": BoxSegmenter(), "case_names": True} | options))


def tables(out: Path) -> tuple[bytes, bytes]:
    return (out / "results.jsonl").read_bytes(), (out / "summary.csv").read_bytes()


def test_every_case_has_a_folder_and_a_row(folder: Path, tmp_path: Path) -> None:
    result = batch(folder, tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert [row["case_id"] for row in rows] == [f"case{number}" for number in range(5)]
    assert [row["status"] for row in rows] == ["done", "done", "failed", "done", "done"]
    assert rows[2]["code"] == "E_NOT_A_CT"
    assert (result.done, result.skipped, dict(result.failures)) == (4, 0, {"case2": "E_NOT_A_CT"})
    assert {path.name for path in (tmp_path / "out" / "case0").iterdir()} == {
        "answer.json", "case.json", "report.html", "report.md",
    }  # fmt: skip


def test_failures_end_with_exit_code_four(folder: Path, tmp_path: Path) -> None:
    assert batch(folder, tmp_path / "out").exit_code == 4
    (folder / "case2.nii.gz").write_text("ccc")
    assert batch(folder, tmp_path / "out", resume=True).exit_code == 0


def test_unexpected_error_fails_its_case_and_says_nothing_private(folder: Path, tmp_path: Path) -> None:
    (folder / "case0.nii.gz").write_text("bug")
    assert batch(folder, tmp_path / "out").failures["case0"] == "E_UNEXPECTED"
    assert "secret" not in (tmp_path / "out" / "results.jsonl").read_text()


def test_unexpected_error_is_shown_whole_for_debugging(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BODYMAPS_DEBUG", "1")
    (folder / "case0.nii.gz").write_text("bug")
    with pytest.raises(ZeroDivisionError, match="secret path"):
        batch(folder, tmp_path / "out")


@pytest.mark.parametrize("stop_after", [1, 3, 4, 6, 9])
def test_killed_and_resumed_run_ends_with_the_same_bytes(folder: Path, tmp_path: Path, stop_after: int) -> None:
    batch(folder, tmp_path / "whole")
    calls = 0

    def stopping(step: str, share: float) -> None:
        nonlocal calls
        calls += 1
        if calls == stop_after:
            raise Cancelled("E_CANCELLED", "Stopped.", "Use --resume to go on.")

    with pytest.raises(Cancelled, match="Stopped"):
        batch(folder, tmp_path / "out", progress=stopping)
    assert not (tmp_path / "out" / ".bodymaps").exists()
    assert all(read_marker(path) for path in (tmp_path / "out").iterdir() if path.is_dir())
    batch(folder, tmp_path / "out", resume=True)
    assert contents(tmp_path / "out", without=TIMED) == contents(tmp_path / "whole", without=TIMED)


def test_resume_answers_only_what_is_not_done(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch(folder, tmp_path / "out")
    (folder / "case1.nii.gz").write_text("changed")
    asked: list[str] = []

    def noting(case: BatchCase, setting: Setting, progress: Progress) -> Answer:
        asked.append(case.case_id)
        return answer_by_size(case, setting, progress)

    monkeypatch.setattr(answering, "answer_case", noting)
    assert batch(folder, tmp_path / "out", resume=True).skipped == 3
    assert asked == ["case1", "case2"]


@pytest.mark.parametrize(
    "change",
    [
        {"question": "Segment the spleen."},
        {"formats": ("md",)},
        {"segmenter": BoxSegmenter(name="other")},
        {"choices": Choices(allow_gaps=True)},
    ],
)
def test_resume_answers_again_what_was_answered_otherwise(folder: Path, tmp_path: Path, change: dict) -> None:
    batch(folder, tmp_path / "out")
    assert batch(folder, tmp_path / "out", resume=True, **change).skipped == 0


def test_parts_cover_every_case_once_and_the_last_writes_the_whole_tables(folder: Path, tmp_path: Path) -> None:
    batch(folder, tmp_path / "whole")
    parts = [batch(folder, tmp_path / "out", num_parts=3, part_id=number) for number in (2, 0, 1)]
    assert sum(part.done + len(part.failures) for part in parts) == 5
    assert tables(tmp_path / "out") == tables(tmp_path / "whole")
    assert (tmp_path / "out" / "run-part-2-of-3.json").is_file()


def test_summary_sums_lesions_and_counts_them(folder: Path, tmp_path: Path) -> None:
    batch(folder, tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / "out" / "summary.csv").open()))
    assert rows[1]["liver_volume_ml"] == "2.000"
    assert rows[1]["liver_lesion_volume_ml"] == "4.000"
    assert rows[1]["lesion_count"] == "2"
    assert rows[1]["warnings"] == "W_PARTIAL"
    assert (rows[2]["status"], rows[2]["code"], rows[2]["liver_volume_ml"]) == ("failed", "E_NOT_A_CT", "")


def test_run_record_has_versions_and_counts_and_no_path(folder: Path, tmp_path: Path) -> None:
    batch(folder, tmp_path / "out")
    text = (tmp_path / "out" / "run.json").read_text()
    record = json.loads(text)
    assert record["counts"] == {"done": 4, "skipped": 0, "failed": 1, "left": 0}
    assert {"seconds", "libraries", "models", "software"} <= set(record)
    assert str(tmp_path) not in text


def test_times_stand_in_two_files_only(folder: Path, tmp_path: Path) -> None:
    batch(folder, tmp_path / "out")
    batch(folder, tmp_path / "out", resume=True)
    lines = [json.loads(line) for line in (tmp_path / "out" / "timings.jsonl").read_text().splitlines()]
    assert [line["case_id"] for line in lines] == ["case0", "case1", "case2", "case3", "case4", "case2"]
    assert all(line["seconds"] >= 0 for line in lines)
    batch(folder, tmp_path / "again")
    assert contents(tmp_path / "out", without=TIMED) == contents(tmp_path / "again", without=TIMED)


def test_result_never_replaces_what_no_batch_wrote(folder: Path, tmp_path: Path) -> None:
    precious = tmp_path / "out" / "case0"
    precious.mkdir(parents=True)
    (precious / "ct.nii.gz").write_text("the only copy")
    with pytest.raises(UsageError, match="E_OUT_OCCUPIED"):
        batch(folder, tmp_path / "out")
    assert (precious / "ct.nii.gz").read_text() == "the only copy"


def test_damaged_marker_counts_as_not_done(folder: Path, tmp_path: Path) -> None:
    batch(folder, tmp_path / "out")
    (tmp_path / "out" / "case0" / "case.json").write_text('{"fingerprint"')
    assert batch(folder, tmp_path / "out", resume=True).skipped == 3


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"num_parts": 0}, "E_PART"),
        ({"num_parts": 2, "part_id": 2}, "E_PART"),
        ({"part_id": -1}, "E_PART"),
        ({"formats": ("pdf",)}, "E_FORMAT"),
    ],
)
def test_wrong_argument_is_refused(folder: Path, tmp_path: Path, options: dict, code: str) -> None:
    with pytest.raises(UsageError, match=code):
        batch(folder, tmp_path / "out", **options)


def test_output_that_is_a_file_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(UsageError, match="E_OUT: The output is a file"):
        batch(folder, tmp_path / "out")


def test_memory_that_runs_out_fails_the_case(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(case: BatchCase, setting: Setting, progress: Progress) -> Answer:
        raise MemoryError

    monkeypatch.setattr(answering, "answer_case", greedy)
    assert set(batch(folder, tmp_path / "out").failures.values()) == {"E_MEMORY"}
