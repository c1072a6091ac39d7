"""Files are read in a child process: what comes back is the same, and nothing that a file does harms the parent."""

from __future__ import annotations

import json
import os
import resource
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from tests.vision.small_files import dicom_slices, nifti_gz, write_series
from vision.errors import Cancelled, InputRefused, ResourceError
from vision.io import Choices, Limits, inventory, load_ct
from vision.io import apart as gate
from vision.io.child import answer, confine
from vision.io.load import read_ct, read_inventory
from vision.segmenter import Progress

pytestmark = pytest.mark.skipif(not gate.SUPPORTED, reason="no descriptors can be handed to a child here")


@pytest.fixture
def ct_file(tmp_path: Path) -> Path:
    path = tmp_path / "ct.nii.gz"
    path.write_bytes(nifti_gz())
    return path


def child_that(does: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Put a program that misbehaves in the place of the reader."""
    (folder / "vision" / "io").mkdir(parents=True)
    for name in ("vision/__init__.py", "vision/io/__init__.py"):
        (folder / name).write_text("")
    (folder / "vision" / "io" / "child.py").write_text(f"import os, sys, time\nsys.stdin.read()\n{does}\n")
    monkeypatch.setattr(gate, "SOURCES", folder)


def test_the_child_reads_what_the_process_itself_would_read(ct_file: Path, tmp_path: Path) -> None:
    for path in (ct_file, write_series(tmp_path / "series", dicom_slices())):
        apart, here = load_ct(path), read_ct(path)
        assert np.array_equal(apart.hu, here.hu)
        assert apart.hu.dtype == here.hu.dtype
        assert np.array_equal(apart.grid.affine, here.grid.affine)
        assert dict(apart.facts) == dict(here.facts)
        assert apart.warnings == here.warnings
        assert inventory(path) == read_inventory(path)


def test_voxels_that_were_handed_over_cannot_be_written(ct_file: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        load_ct(ct_file).hu[0, 0, 0] = 1


def test_choices_reach_the_child(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", dicom_slices())
    with pytest.raises(InputRefused, match="no such series"):
        load_ct(folder, choices=Choices(series="7"))


def test_a_refusal_of_the_child_is_raised_as_its_own(tmp_path: Path) -> None:
    path = tmp_path / "ct.nii.gz"
    path.write_bytes(b"this is a text file")
    with pytest.raises(InputRefused, match="E_TYPE: ") as refusal:
        load_ct(path)
    assert refusal.value.remedy


def test_a_path_that_is_no_unicode_is_opened(ct_file: Path) -> None:
    odd = ct_file.rename(os.fsdecode(os.fsencode(ct_file.parent) + b"/\xff\xfe ct"))
    assert load_ct(odd).hu.size


def test_a_reader_that_crashes_is_a_refusal(ct_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child_that("os.kill(os.getpid(), 11)", monkeypatch, tmp_path / "fake")
    with pytest.raises(InputRefused, match="E_CRASH: The file made its reader stop"):
        load_ct(ct_file)


def test_a_reader_that_is_killed_is_a_lack_of_memory(
    ct_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child_that("os.kill(os.getpid(), 9)", monkeypatch, tmp_path / "fake")
    with pytest.raises(ResourceError, match="E_MEMORY"):
        load_ct(ct_file)


def test_a_reader_that_ends_before_it_listens_is_a_refusal(
    ct_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child_that("os._exit(3)", monkeypatch, tmp_path / "fake")
    with pytest.raises(InputRefused, match=r"E_CRASH.*status 3"):
        load_ct(ct_file)


def test_a_reader_that_talks_without_end_is_a_refusal(
    ct_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child_that("while True: print('x' * 65536)", monkeypatch, tmp_path / "fake")
    with pytest.raises(InputRefused, match="E_CRASH"):
        load_ct(ct_file)


def test_a_reader_that_hangs_is_stopped_at_its_time(
    ct_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child_that("time.sleep(60)", monkeypatch, tmp_path / "fake")
    started = time.monotonic()
    with pytest.raises(ResourceError, match="E_TIMEOUT: Reading the file took longer"):
        load_ct(ct_file, limits=Limits(seconds=0.5))
    assert time.monotonic() - started < 5


def test_reading_can_be_cancelled(ct_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child_that("time.sleep(60)", monkeypatch, tmp_path / "fake")
    started = time.monotonic()

    def stop(step: str, share: float) -> None:
        if time.monotonic() - started > 0.3:
            raise Cancelled("E_CANCELLED", "Stopped.", "Ask again.")

    progress: Progress = stop
    with pytest.raises(Cancelled):
        load_ct(ct_file, progress=progress)
    assert time.monotonic() - started < 2


def test_a_reader_beyond_its_memory_is_told_so(ct_file: Path) -> None:
    with pytest.raises((ResourceError, InputRefused), match=r"E_MEMORY|E_CRASH"):
        load_ct(ct_file, limits=Limits(memory=80 << 20))


def test_the_reader_confines_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: dict[int, tuple[int, int]] = {}
    monkeypatch.setattr(resource, "setrlimit", lambda what, pair: limits.__setitem__(what, pair))
    monkeypatch.setattr(resource, "getrlimit", lambda what: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    confine(Limits(memory=3 << 30, seconds=7))
    for_good = {resource.RLIMIT_AS: 3 << 30, resource.RLIMIT_CPU: 8, resource.RLIMIT_CORE: 0}
    assert limits == {what: (most, most) for what, most in for_good.items()}


def test_the_answer_of_the_child_is_plain_json(ct_file: Path) -> None:
    descriptor = os.memfd_create("test")
    request = {
        "task": "ct",
        "path": str(ct_file),
        "choices": {},
        "limits": asdict(Limits()),
    }
    reply = json.loads(json.dumps(answer(request, descriptor)))
    assert os.fstat(descriptor).st_size == read_ct(ct_file).hu.nbytes
    assert str(ct_file) not in json.dumps(reply)
    os.close(descriptor)


def test_a_module_beside_the_ct_is_not_imported(ct_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (ct_file.parent / "numpy.py").write_text("import os; os._exit(7)")
    monkeypatch.chdir(ct_file.parent)
    assert load_ct(ct_file.name).hu.size
