"""Where a batch works: one run for each part, one key for all, and nothing of a dead run stays."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from assistant.batch import place
from assistant.batch.place import open_place
from vision.errors import ResourceError, UsageError


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "PATIENCE_SECONDS", 0.1)


def hidden(out: Path) -> list[str]:
    return sorted(path.relative_to(out / ".bodymaps").as_posix() for path in (out / ".bodymaps").rglob("*"))


def test_second_run_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with open_place(tmp_path, num_parts=1, part_id=0) as first:
        (first.work / "file").write_text("first's")
        with pytest.raises(UsageError, match="E_OUT_BUSY"), open_place(tmp_path, num_parts=1, part_id=0):
            pass
        first.require_present()
        assert (first.work / "file").read_text() == "first's"
    assert list(tmp_path.iterdir()) == []


def test_parts_of_one_division_run_at_once(tmp_path: Path) -> None:
    with open_place(tmp_path, num_parts=2, part_id=0) as first, open_place(tmp_path, num_parts=2, part_id=1) as second:
        assert first.work != second.work
        first.require_present()
        second.require_present()


@pytest.mark.parametrize(("num_parts", "part_id"), [(1, 0), (3, 0), (2, 0)])
def test_run_that_would_take_the_same_cases_is_refused(tmp_path: Path, num_parts: int, part_id: int) -> None:
    with (
        open_place(tmp_path, num_parts=2, part_id=0) as first,
        pytest.raises(UsageError, match="E_OUT_BUSY"),
        open_place(tmp_path, num_parts=num_parts, part_id=part_id),
    ):
        pass
    assert not first.work.exists()


def test_what_dead_runs_left_is_removed_whatever_part_they_did(tmp_path: Path) -> None:
    for name in ("part-0-of-1", "part-1-of-3", "part-2-of-4"):
        (tmp_path / ".bodymaps" / name / "case" / "masks").mkdir(parents=True)
        (tmp_path / ".bodymaps" / f"{name}.lock").write_text("")
    with open_place(tmp_path, num_parts=1, part_id=0):
        assert hidden(tmp_path) == ["part-0-of-1", "part-0-of-1.lock"]
    assert not (tmp_path / ".bodymaps").exists()


def test_work_of_a_living_part_is_left_alone(tmp_path: Path) -> None:
    with open_place(tmp_path, num_parts=2, part_id=1) as living:
        (living.work / "case").mkdir()
        with open_place(tmp_path, num_parts=2, part_id=0):
            pass
        assert (living.work / "case").is_dir()
        living.require_present()


def test_run_waits_for_one_that_only_clears_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "PATIENCE_SECONDS", 5.0)
    lock = tmp_path / ".bodymaps" / "part-0-of-1.lock"
    lock.parent.mkdir()
    held = place.take_lock(lock)
    assert held is not None
    threading.Timer(0.3, place.drop_lock, (held, lock)).start()
    with open_place(tmp_path, num_parts=1, part_id=0) as opened:
        opened.require_present()


def test_key_is_random_private_and_made_once(tmp_path: Path) -> None:
    keys = []
    for out in (tmp_path / "a", tmp_path / "a", tmp_path / "b"):
        with open_place(out, num_parts=1, part_id=0) as opened:
            keys.append(opened.key())
    assert keys[0] == keys[1] != keys[2]
    assert len(keys[0]) == 32
    assert (tmp_path / "a" / ".bodymaps" / "key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a" / ".bodymaps").stat().st_mode & 0o777 == 0o700
    assert hidden(tmp_path / "a") == ["key"]


def test_parts_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    start = threading.Barrier(8)

    def key_of(part_id: int) -> bytes:
        with open_place(tmp_path, num_parts=8, part_id=part_id) as opened:
            start.wait()
            return opened.key()

    with ThreadPoolExecutor(8) as parts:
        assert len(set(parts.map(key_of, range(8)))) == 1
    assert hidden(tmp_path) == ["key"]


def test_key_is_made_where_files_cannot_be_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*paths: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    with open_place(tmp_path, num_parts=1, part_id=0) as opened:
        assert opened.key() == opened.key()
    assert hidden(tmp_path) == ["key"]


def test_damaged_key_is_refused(tmp_path: Path) -> None:
    with open_place(tmp_path, num_parts=1, part_id=0) as opened:
        opened.key()
        (tmp_path / ".bodymaps" / "key").write_text("short")
        with pytest.raises(UsageError, match="E_KEY"):
            opened.key()


def test_finished_folder_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    with open_place(tmp_path, num_parts=1, part_id=0) as opened:
        for text in ("old", "new"):
            part = opened.unfinished()
            (part / text).write_text(text)
            opened.finish(part, "case-1")
        assert [path.name for path in (tmp_path / "case-1").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["case-1"]


def test_folder_that_was_replaced_is_not_written_to(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with open_place(out, num_parts=1, part_id=0) as opened:
        part = opened.unfinished()
        out.rename(tmp_path / "moved")
        (out / ".bodymaps" / "part-0-of-1" / "case").mkdir(parents=True)
        (out / ".bodymaps" / "part-0-of-1.lock").write_text("")
        with pytest.raises(ResourceError, match="E_OUTPUT: The output folder is not there any more"):
            opened.finish(part, "case-1")
    assert not (out / "case-1").exists()
