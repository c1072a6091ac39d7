"""The gate on real CTs; skipped without the folder that BODYMAPS_DATA names."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from vision.errors import InputRefused
from vision.io import load_ct, load_labels

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def real() -> Path:
    folder = os.environ.get("BODYMAPS_DATA", "")
    if not folder:
        pytest.skip("BODYMAPS_DATA names no folder of real CTs")
    return Path(folder)


def test_every_real_ct_opens_and_its_labels_do_not(real: Path) -> None:
    cases = sorted(real.glob("*/*/ct.nii.gz"))
    assert cases
    for case in cases:
        ct = load_ct(case)
        assert ct.hu.dtype == np.int16
        clipped = any(notice.code == "W_HU_CLIPPED" for notice in ct.warnings)
        assert clipped == case.parent.name.startswith("btcv")
    for labels in real.glob("*/*/labels.nii.gz"):
        with pytest.raises(InputRefused, match="E_LOOKS_LIKE_MASK"):
            load_ct(labels)


def test_nifti_and_dicom_of_one_slab_are_the_same_ct(real: Path) -> None:
    nifti, dicom = load_ct(real / "dev" / "ts_slab" / "ct.nii.gz"), load_ct(real / "dicom" / "ts_slab")
    assert nifti.grid.matches(dicom.grid)
    assert np.array_equal(nifti.hu, dicom.hu)


def test_a_real_zip_opens_in_time(real: Path) -> None:
    start = time.perf_counter()
    assert load_ct(real / "dicom" / "hcc_006.zip").grid.shape == (512, 512, 70)
    assert time.perf_counter() - start < 5


def test_labels_lie_on_the_ct(real: Path) -> None:
    case = real / "dev" / "btcv_0039"
    masks = load_labels(case / "labels.nii.gz", order="abdomenatlas1.1")
    assert {"liver", "spleen", "kidney_left", "aorta"} <= set(masks)
    assert masks["liver"].grid.matches(load_ct(case / "ct.nii.gz").grid)


def test_opening_takes_little_time_and_memory(real: Path) -> None:
    code = (
        "import resource, sys, time; from vision.io import load_ct\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "before, start = peak(), time.perf_counter(); ct = load_ct(sys.argv[1])\n"
        "print((peak() - before) / ct.hu.nbytes, time.perf_counter() - start)"
    )
    command = [sys.executable, "-c", code, str(real / "dev" / "btcv_0039" / "ct.nii.gz")]
    times_its_size, seconds = map(float, subprocess.run(command, capture_output=True, check=True).stdout.split())
    assert times_its_size < 3
    assert seconds < 1.5
