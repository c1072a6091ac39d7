"""The benchmark of opening: both readers see the same voxels, and what cannot be timed is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.vision.small_files import body_hu, dicom_slices, nifti_gz, write_series
from vision.benchmark.opening import benchmark_opening, main
from vision.errors import InputRefused, UsageError
from vision.io.plain import read_plainly


@pytest.fixture
def ct_file(tmp_path: Path) -> Path:
    path = tmp_path / "ct.nii.gz"
    path.write_bytes(nifti_gz())
    return path


def test_plain_readers_give_the_stored_voxels(ct_file: Path, tmp_path: Path) -> None:
    assert np.array_equal(read_plainly(ct_file), body_hu())
    stacked = read_plainly(write_series(tmp_path / "series", dicom_slices()))
    assert sorted(stacked.astype(int).sum(axis=(1, 2))) == sorted((body_hu().astype(int) + 1024).sum(axis=(0, 1)))


def test_a_run_tells_seconds_memory_and_shape(ct_file: Path) -> None:
    for name in ("gate", "plain"):
        told = main(name, ct_file)
        assert told["shape"] == body_hu().shape
        assert float(str(told["seconds"])) > 0
        assert float(str(told["peak_mib"])) > 10


def test_the_ratio_is_of_the_pairs(ct_file: Path) -> None:
    timed = benchmark_opening(ct_file, runs=1)
    assert timed.ratio == pytest.approx(timed.gate.seconds / timed.plain.seconds)
    assert timed.gate.shape == timed.plain.shape


def test_nothing_is_timed_in_no_runs_or_on_no_ct(ct_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="E_RUNS"):
        benchmark_opening(ct_file, runs=0)
    (tmp_path / "text.nii.gz").write_text("no CT")
    with pytest.raises(InputRefused, match="E_BENCHMARK: The CT cannot be opened"):
        benchmark_opening(tmp_path / "text.nii.gz", runs=1)
