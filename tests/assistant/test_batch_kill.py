"""A batch killed by SIGKILL and resumed ends with the same bytes as one that was not, and leaves nothing half-done."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.assistant.killed import contents
from vision.io import write_ct
from vision.phantom import make_phantom

ROOT = Path(__file__).resolve().parents[2]
TIMED = frozenset({"run.json", "timings.jsonl"})


def program(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, words)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def begun(cases: Path, out: Path) -> subprocess.Popen[str]:
    """A batch whose work begins now."""
    batch = program("tests.assistant.batch_program", cases, out)
    assert batch.stdout is not None
    assert batch.stdout.readline() == "ready\n"
    return batch


def ended(batch: subprocess.Popen[str]) -> int:
    said = batch.communicate(timeout=600)[1]
    assert "Traceback" not in said, said
    return batch.returncode


def make_cases(folder: Path, count: int) -> Path:
    for seed in range(count):
        write_ct(make_phantom(seed=seed, spacing_mm=(10.0, 10.0, 10.0)).ct, folder / f"jane_doe_{seed}.nii.gz")
    return folder


def finished(out: Path) -> int:
    return len(list(out.glob("case-*")))


def kill_and_resume(place: Path, *, count: int, kills: int, seed: int) -> float:
    """Kill a batch of `count` phantoms `kills` times, resume it, compare; returns the seconds of all runs."""
    rng = random.Random(seed)
    cases, out, whole = make_cases(place / "cases", count), place / "out", place / "whole"
    started = time.monotonic()
    assert ended(begun(cases, whole)) == 0
    seconds = time.monotonic() - started
    (out / ".bodymaps").mkdir(parents=True)
    # With the same key the cases have the same ids.
    shutil.copy2(whole / ".bodymaps" / "key", out / ".bodymaps" / "key")
    killed = 0
    while killed < kills:
        # Spread over what is left to do, so that the last kills meet the tables.
        share = max(1, count - finished(out)) / count / (kills - killed)
        batch = begun(cases, out)
        time.sleep(rng.uniform(0, 2 * seconds * share))
        batch.kill()
        killed += ended(batch) == -9
        assert all((folder / "case.json").is_file() for folder in out.glob("case-*"))
        if finished(out) == count and killed < kills:
            shutil.rmtree(sorted(out.glob("case-*"))[rng.randrange(count)])
    assert ended(begun(cases, out)) == 0
    assert [path.name for path in (out / ".bodymaps").iterdir()] == ["key"]
    killed_files, whole_files = contents(out, without=TIMED), contents(whole, without=TIMED)
    assert sorted(killed_files) == sorted(whole_files)
    assert [name for name in killed_files if killed_files[name] != whole_files[name]] == []
    assert sum(name.endswith("/answer.json") for name in killed_files) == count
    assert not [name for name, content in contents(out).items() if "jane_doe" in name or b"jane_doe" in content]
    return time.monotonic() - started


def test_killed_and_resumed_batch_ends_with_the_same_bytes(tmp_path: Path) -> None:
    kill_and_resume(tmp_path, count=5, kills=3, seed=6)


@pytest.mark.slow
def test_batch_of_30_phantoms_killed_at_25_random_moments_ends_with_the_same_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = kill_and_resume(tmp_path, count=30, kills=25, seed=2026)
    with capsys.disabled():
        print(f"\n30 phantoms, 25 kills, 0 files differ, 0 left over, {seconds:.0f} s")


@pytest.mark.slow
def test_parts_that_run_at_once_share_the_cases_and_keep_others_out(tmp_path: Path) -> None:
    cases, out, whole = make_cases(tmp_path / "cases", 6), tmp_path / "out", tmp_path / "whole"
    parts = [program("tests.assistant.batch_program", cases, out, 3, part) for part in range(3)]
    while not list(out.glob(".bodymaps/part-*-of-3/")):
        time.sleep(0.02)
    other = program("tests.assistant.batch_program", cases, out)
    assert "E_OUT_BUSY" in other.communicate(timeout=60)[1]
    assert other.returncode == 2
    assert [ended(part) for part in parts] == [0, 0, 0]
    (whole / ".bodymaps").mkdir(parents=True)
    shutil.copy2(out / ".bodymaps" / "key", whole / ".bodymaps" / "key")
    assert ended(begun(cases, whole)) == 0
    timed = TIMED | {
        f"{name}-part-{part}-of-3.{end}" for name, end in (("run", "json"), ("timings", "jsonl")) for part in range(3)
    }
    assert contents(out, without=timed) == contents(whole, without=timed)
    assert [path.name for path in (out / ".bodymaps").iterdir()] == ["key"]


@pytest.mark.slow
def test_report_with_the_shipped_model_killed_and_resumed_ends_with_the_same_bytes(tmp_path: Path) -> None:
    cases, whole, out = tmp_path / "cases", tmp_path / "whole", tmp_path / "out"
    for seed in (1, 2):
        write_ct(make_phantom(seed=seed, spacing_mm=(3.0, 3.0, 4.0)).ct, cases / f"jane_doe_{seed}.nii.gz")
    assert ended(program("assistant.cli", "report", cases, "--out", whole)) == 0
    (out / ".bodymaps").mkdir(parents=True)
    shutil.copy2(whole / ".bodymaps" / "key", out / ".bodymaps" / "key")
    batch = program("assistant.cli", "report", cases, "--out", out)
    while finished(out) < 1:
        assert batch.poll() is None
        time.sleep(0.02)
    batch.kill()
    assert ended(batch) == -9
    assert ended(program("assistant.cli", "report", cases, "--out", out, "--resume")) == 0
    resumed, undisturbed = contents(out, without=TIMED), contents(whole, without=TIMED)
    assert sorted(resumed) == sorted(undisturbed)
    assert [name for name in resumed if resumed[name] != undisturbed[name]] == []


def test_batch_killed_before_any_change_of_the_disk_ends_with_the_same_bytes(tmp_path: Path) -> None:
    batch = program("tests.assistant.killed_batches", tmp_path)
    said, complained = batch.communicate(timeout=300)
    assert batch.returncode == 0, complained
    assert int(said.splitlines()[-1]) > 100
