"""Options of a batch: what its cases are called, when it ends early, and trying it without writing."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from assistant.answer import Answer
from assistant.batch import BatchResult, answering, dry_run, run, run_batch, try_batch
from assistant.batch.answering import Setting
from assistant.batch.cases import BatchCase
from assistant.cli import app
from assistant.terminal import run_command
from tests.assistant.killed import contents
from tests.assistant.small_scenes import about_boxes, box_ct, box_masks, call
from tests.fakes import BoxSegmenter
from vision.errors import Cancelled, InputRefused, UsageError
from vision.geometry import CTVolume, Notice
from vision.io import Choices
from vision.segmenter import Progress

TIMED = frozenset({"run.json", "timings.jsonl"})
ID = re.compile("case-[0-9a-f]{10}")


def answer_unless_bad(case: BatchCase, setting: Setting, progress: Progress) -> Answer:
    progress("looking", 0.5)
    if case.input.read_text() == "bad":
        raise InputRefused("E_TYPE", "The file is no CT.", "Give a CT.")
    return about_boxes(call("help")).ask(case.question)


@pytest.fixture(autouse=True)
def _fake_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "answer_case", answer_unless_bad)
    monkeypatch.setattr(run, "_shipped_segmenter", BoxSegmenter)


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """Four CTs named after patients; the second and the third are refused."""
    folder = tmp_path / "ward"
    folder.mkdir()
    for name, text in (("adams", "a"), ("brown", "bad"), ("clark", "bad"), ("davis", "d")):
        (folder / f"{name}_jane.nii").write_text(text)
    return folder


def batch(inputs: list[Path], out: Path, **options) -> BatchResult:
    return run_batch(inputs, out, segmenter=BoxSegmenter(), **options)


def ids(out: Path) -> list[str]:
    return [json.loads(line)["case_id"] for line in (out / "results.jsonl").read_text().splitlines()]


def test_cases_have_ids_that_tell_nothing(cases: Path, tmp_path: Path) -> None:
    shown: list[str] = []
    result = batch([cases], tmp_path / "out", progress=lambda step, share: shown.append(step))
    assert result.opaque
    assert len(set(ids(tmp_path / "out"))) == 4
    assert all(ID.fullmatch(case_id) for case_id in ids(tmp_path / "out"))
    everything = repr((contents(tmp_path / "out"), shown, result.failures))
    assert not re.search("jane|adams|brown|clark|davis|ward", everything)


def test_cases_have_the_same_ids_in_every_run_and_part(cases: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    batch([cases], out)
    before = ids(out)
    batch([cases], out, resume=True)
    assert ids(out) == before
    for part in (1, 0):
        batch([cases], out, num_parts=2, part_id=part)
    assert ids(out) == before
    batch([cases / "davis_jane.nii", cases / "adams_jane.nii"], out, resume=True)
    assert ids(out) == [before[3], before[0]]


def test_two_output_folders_give_other_ids(cases: Path, tmp_path: Path) -> None:
    for out in ("a", "b"):
        batch([cases], tmp_path / out)
    assert not set(ids(tmp_path / "a")) & set(ids(tmp_path / "b"))


def test_names_are_used_when_they_are_asked_for(cases: Path, tmp_path: Path) -> None:
    assert not batch([cases], tmp_path / "out", case_names=True).opaque
    assert ids(tmp_path / "out") == ["adams_jane", "brown_jane", "clark_jane", "davis_jane"]


def test_ids_of_a_manifest_are_used(cases: Path, tmp_path: Path) -> None:
    (cases / "m.csv").write_text("case_id,input\nP1,adams_jane.nii\n")
    assert not batch([cases / "m.csv"], tmp_path / "a").opaque
    assert ids(tmp_path / "a") == ["P1"]
    assert not (tmp_path / "a" / ".bodymaps").exists()
    assert batch([cases / "m.csv", cases / "davis_jane.nii"], tmp_path / "b").opaque


def test_question_of_unreadable_characters_is_kept_readable(cases: Path, tmp_path: Path) -> None:
    batch([cases / "adams_jane.nii"], tmp_path / "out", question="Segment the liver \udcff\x1b.")
    assert json.loads((tmp_path / "out" / "run.json").read_text())["arguments"]["question"] == "Segment the liver ."


def test_batch_ends_after_so_many_failures_and_goes_on_when_resumed(cases: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = batch([cases], out, max_failures=1)
    assert (result.done, len(result.failures), result.left, result.exit_code) == (1, 1, 2, 4)
    assert len(ids(out)) == 2
    assert json.loads((out / "run.json").read_text())["counts"]["left"] == 2
    result = batch([cases], out, max_failures=2, resume=True)
    assert (result.done, result.skipped, len(result.failures), result.left) == (0, 1, 2, 1)
    assert batch([cases], out, resume=True).done == 1
    assert len(ids(out)) == 4


def test_case_that_takes_too_long_fails_and_the_others_go_on(
    cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(case: BatchCase, setting: Setting, progress: Progress) -> Answer:
        if case.case_id == "brown_jane":
            for _ in range(100):
                progress("looking", 0.5)
                time.sleep(0.02)
        return about_boxes(call("help")).ask(case.question, progress=progress)

    monkeypatch.setattr(answering, "answer_case", slow)
    result = batch([cases], tmp_path / "out", case_names=True, timeout_s=0.3)
    assert dict(result.failures) == {"brown_jane": "E_TIMEOUT"}
    assert result.done == 3


@pytest.mark.parametrize(
    "options", [{"max_failures": 0}, {"timeout_s": 0.0}, {"timeout_s": -1.0}, {"timeout_s": float("nan")}]
)
def test_limit_that_is_none_is_refused(cases: Path, tmp_path: Path, options: dict) -> None:
    with pytest.raises(UsageError, match="E_LIMIT"):
        batch([cases], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_choices_reach_the_gate(cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Choices] = []

    def note(case: BatchCase, setting: Setting, progress: Progress) -> Answer:
        taken.append(setting.choices)
        return about_boxes(call("help")).ask(case.question)

    monkeypatch.setattr(answering, "answer_case", note)
    batch([cases / "adams_jane.nii"], tmp_path / "out", choices=Choices(allow_gaps=True))
    assert taken == [Choices(allow_gaps=True)]


def open_unless_bad(path: Path, *, choices: Choices, progress: Progress) -> CTVolume:
    progress("opening the CT", 0.0)
    if path.read_text() == "bad":
        raise InputRefused("E_TYPE", "The file is no CT.", "Give a CT.")
    ct = box_ct(box_masks())
    return CTVolume(ct.hu, ct.grid, {}, (Notice("W_THICK", "Thick."), Notice("W_THICK", "Thick.")))


def test_trying_says_which_would_open_and_writes_nothing(
    cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry_run, "load_ct", open_unless_bad)
    (cases / "m.csv").write_text("case_id,input\nP1,adams_jane.nii\n")
    tried = try_batch([cases / "clark_jane.nii", cases, cases / "m.csv"], tmp_path / "out")
    assert [case.name for case in tried] == ["input 1", *(f"CT {n} of input 2" for n in (1, 2, 3, 4)), "P1"]
    assert [case.refusal.code if case.refusal else "" for case in tried] == ["E_TYPE", "", "E_TYPE", "E_TYPE", "", ""]
    assert tried[1].warnings == ("W_THICK",)
    assert not (tmp_path / "out").exists()
    part = try_batch([cases], tmp_path / "out", case_names=True, num_parts=2, part_id=1)
    assert [case.name for case in part] == ["brown_jane", "davis_jane"]


def test_trying_ends_when_it_is_stopped(cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(step: str, share: float) -> None:
        raise Cancelled("E_CANCELLED", "Stopped.", "Begin again.")

    monkeypatch.setattr(dry_run, "load_ct", open_unless_bad)
    with pytest.raises(Cancelled, match="Stopped"):
        try_batch([cases], tmp_path / "out", progress=stop)
    with pytest.raises(UsageError, match="E_PART"):
        try_batch([cases], tmp_path / "out", part_id=1)


def command(*words: object) -> int:
    return run_command(lambda: app(["report", *map(str, words)]))


def test_command_tells_how_it_ended_and_how_to_get_names(
    cases: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(cases, "--out", tmp_path / "out", "--fail-fast") == 4
    streams = capsys.readouterr()
    lines = streams.err.splitlines()
    assert streams.out == ""
    assert lines[0].startswith("1 done, 0 kept, 1 failed, 2 not begun. Results are in ")
    assert re.fullmatch(r"  case-[0-9a-f]{10}: E_TYPE", lines[1])
    assert "--case-names" in lines[2]
    assert len(lines) == 3
    assert "jane" not in streams.err
    assert command(cases, "--out", tmp_path / "named", "--case-names", "--max-failures", 9) == 4
    assert capsys.readouterr().err.splitlines()[1:] == ["  brown_jane: E_TYPE", "  clark_jane: E_TYPE"]


def test_command_tries_a_batch_on_stdout(
    cases: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry_run, "load_ct", open_unless_bad)
    words = (cases / "adams_jane.nii", cases / "brown_jane.nii", "--out", tmp_path / "out", "--dry-run")
    assert command(*words) == 4
    streams = capsys.readouterr()
    assert streams.out == "input 1\topens\tW_THICK\ninput 2\tE_TYPE\n"
    assert streams.err == "1 would open, 1 would be refused. Nothing was written.\n"
    assert command(cases / "adams_jane.nii", "--out", tmp_path / "out", "--dry-run") == 0


def test_command_passes_every_option_on(cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}

    def note(inputs: list[Path], out: Path, **options: object) -> BatchResult:
        given.update(options, progress=None)
        return BatchResult(out, 0, 0, {})

    monkeypatch.setattr("assistant.batch.run_batch", note)
    monkeypatch.setattr("assistant.api.named_segmenter", lambda model: f"the segmenter of {model}")
    flags = [
        "--model",
        "mine",
        "--resume",
        "--case-names",
        "--timeout-per-case",
        "9",
        "--num-parts",
        "3",
        "--part-id",
        "2",
    ]
    words = ["--format", "md, html", "--question", "Liver?", "--max-failures", "4", "--allow-gaps", "--series", "2"]
    assert command(cases, "--out", tmp_path / "out", *flags, *words) == 0
    assert given == {
        "question": "Liver?",
        "resume": True,
        "num_parts": 3,
        "part_id": 2,
        "formats": ["md", "html"],
        "case_names": True,
        "max_failures": 4,
        "timeout_s": 9.0,
        "choices": Choices(series="2", allow_gaps=True),
        "segmenter": "the segmenter of mine",
        "planner": None,
        "progress": None,
    }
