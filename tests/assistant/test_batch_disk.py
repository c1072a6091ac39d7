"""A batch whose disk is full, read-only or gone ends at once, keeps what was finished, and goes on when resumed."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assistant.answer import Answer
from assistant.batch import BatchResult, answering, run_batch
from assistant.batch.answering import Setting
from assistant.batch.cases import BatchCase
from assistant.batch.run_record import append_timing
from assistant.terminal import run_command
from tests.assistant.killed import contents
from tests.assistant.small_scenes import about_boxes, call
from tests.fakes import BoxSegmenter
from vision.errors import ResourceError
from vision.segmenter import Progress

TIMED = frozenset({"run.json", "timings.jsonl"})


def answer_quickly(case: BatchCase, setting: Setting, progress: Progress) -> Answer:
    progress("looking", 0.5)
    return about_boxes(call("segment", "liver", "spleen", "aorta")).ask(case.question)


@pytest.fixture(autouse=True)
def _fake_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "answer_case", answer_quickly)


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    folder = tmp_path / "cases"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.nii").write_text("x")
    return folder


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount a small file system of its own, where the system permits it."""
    places: list[Path] = []

    def mount(options: str) -> Path:
        place = tmp_path / f"disk{len(places)}"
        place.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        places.append(place)
        return place

    try:
        yield mount
    finally:
        for place in places:
            subprocess.run(["umount", "--lazy", place], capture_output=True, check=False)


def batch(cases: Path, out: Path, **options) -> BatchResult:
    return run_batch([cases], out, segmenter=BoxSegmenter(), case_names=True, **options)


def wanted(cases: Path, tmp_path: Path) -> dict[str, bytes]:
    batch(cases, tmp_path / "whole")
    return contents(tmp_path / "whole", without=TIMED)


def assert_only_finished(out: Path, count: int) -> None:
    """Exactly `count` cases are there, whole; nothing hidden, no table, no failed case."""
    left = list(out.iterdir())
    assert sorted(path.name for path in left if path.is_dir()) == [str(number) for number in range(count)]
    assert {path.name for path in left if path.is_file()} <= {"timings.jsonl"}
    assert all('"status": "done"' in (out / str(number) / "case.json").read_text() for number in range(count))


def test_full_disk_ends_the_batch_and_room_lets_it_go_on(
    cases: Path, tmp_path: Path, mounted: Callable[..., Path]
) -> None:
    whole = wanted(cases, tmp_path)
    one_case = sum(len(content) for name, content in whole.items() if name.startswith("0/"))
    disk = mounted("size=4m")
    ballast = disk / "ballast"
    free = shutil.disk_usage(disk).free
    ballast.write_bytes(bytes(free - 2 * one_case - 8 * os.sysconf("SC_PAGE_SIZE")))
    with pytest.raises(ResourceError, match=r"E_DISK: The disk is full.*go on with --resume") as full:
        batch(cases, disk / "out")
    assert full.value.exit_code == 5
    finished = len([path for path in (disk / "out").iterdir() if path.is_dir()])
    assert finished in (1, 2)
    assert_only_finished(disk / "out", finished)
    ballast.unlink()
    assert batch(cases, disk / "out", resume=True).skipped == finished
    assert contents(disk / "out", without=TIMED) == whole


@pytest.mark.parametrize("operation", ["fsync", "rename", "replace", "mkdir"])
def test_disk_that_fills_at_any_moment_leaves_only_finished_cases(
    cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    monkeypatch.setattr(answering, "answer_case", lambda case, *_: about_boxes(call("help")).ask(case.question))
    for surplus in ("2.nii", "3.nii"):
        (cases / surplus).unlink()
    whole = wanted(cases, tmp_path)
    true, moments = os.__dict__[operation], 0
    for moment in range(1, 200):
        calls = 0

        def fails_late(*arguments: object, moment: int = moment, **options: object) -> object:
            nonlocal calls
            calls += 1
            if calls >= moment:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return true(*arguments, **options)

        out = tmp_path / f"out{moment}"
        with monkeypatch.context() as patched:
            patched.setattr(os, operation, fails_late)
            code = run_command(lambda out=out: batch(cases, out))
        if code == 0:
            break
        moments += 1
        assert code == 5
        left = contents(out, without=TIMED)
        assert left.items() <= whole.items(), moment
        assert all(f"{name.split('/')[0]}/case.json" in left for name in left if "/" in name)
        batch(cases, out, resume=True)
        assert contents(out, without=TIMED) == whole, moment
    assert moments >= 2


def test_read_only_disk_is_refused_before_any_work(
    cases: Path, tmp_path: Path, mounted: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    disk = mounted("size=1m,ro")
    assert run_command(lambda: batch(cases, disk / "out")) == 5
    assert capsys.readouterr().err == (
        "E_OUTPUT: The output cannot be written (Read-only file system).\nChoose a folder that may be written to.\n"
    )


def test_disk_that_turns_read_only_ends_the_batch(cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def turning(step: str, share: float) -> None:
        if step.startswith("2:"):
            for operation in ("rename", "replace", "mkdir"):
                monkeypatch.setattr(os, operation, refuse)

    with pytest.raises(ResourceError, match=r"E_OUTPUT: .*Read-only file system"):
        batch(cases, tmp_path / "out", progress=turning)
    monkeypatch.undo()
    assert_only_finished(tmp_path / "out", 2)


def test_folder_that_vanishes_is_not_made_again(cases: Path, tmp_path: Path) -> None:
    def vanishing(step: str, share: float) -> None:
        if step.startswith("2:"):
            shutil.rmtree(tmp_path / "out")

    with pytest.raises(ResourceError, match="E_OUTPUT: The output folder is not there any more"):
        batch(cases, tmp_path / "out", progress=vanishing)
    assert not (tmp_path / "out").exists()


def test_disk_that_is_unplugged_gets_nothing_in_its_place(
    cases: Path, tmp_path: Path, mounted: Callable[..., Path]
) -> None:
    disk = mounted("size=4m")

    def unplugging(step: str, share: float) -> None:
        if step.startswith("1:"):
            subprocess.run(["umount", "--lazy", disk], check=True)

    with pytest.raises(ResourceError, match="E_OUTPUT: The output folder is not there any more"):
        batch(cases, disk / "out", progress=unplugging)
    assert list(disk.iterdir()) == []


def test_full_disk_met_while_answering_is_not_the_cases_fault(
    cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(case: BatchCase, setting: Setting, progress: Progress) -> Answer:
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/unpacked")

    monkeypatch.setattr(answering, "answer_case", fill)
    with pytest.raises(ResourceError, match="E_DISK"):
        batch(cases, tmp_path / "out")
    assert_only_finished(tmp_path / "out", 0)


def test_line_of_times_that_does_not_fit_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, true = tmp_path / "timings.jsonl", os.write
    append_timing(path, "a", 1.0)
    before = path.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda descriptor, content: true(descriptor, content[:5]))
        with pytest.raises(ResourceError, match="E_DISK"):
            append_timing(path, "b", 2.0)
    assert path.read_bytes() == before
