"""Files that are written hold voxels and geometry, and not a word about anybody; logs hold lines of code."""

from __future__ import annotations

import gzip
import io
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from nibabel.nifti1 import Nifti1Image

from assistant.logs import install_clean_logs
from tests.canaries import canaries_in, leaks_in, planted, write_dicom, write_nifti
from vision.geometry import CTVolume, Mask
from vision.io import write_ct, write_label_map, write_mask
from vision.io.load import read_ct

TEXT_FIELDS = {"data_type": (4, 14), "db_name": (14, 32), "descrip": (148, 228), "aux_file": (228, 252)}
TEXT_FIELDS |= {"intent_name": (328, 344), "extension flag": (348, 352)}
"""Bytes of NIfTI-1's header that hold text, and of the mark that says that more text follows."""


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> CTVolume:
    """A CT from a file whose header is full of names."""
    path = write_nifti(tmp_path_factory.mktemp("in"))
    assert len(planted(path)) >= 8
    return read_ct(path)


def mask_of(ct: CTVolume) -> Mask:
    return Mask(ct.hu > 0, ct.grid, "liver")


WRITERS: dict[str, Callable[[CTVolume, Path], Path]] = {
    "CT": lambda ct, folder: write_ct(ct, folder / "ct.nii.gz"),
    "plain CT": lambda ct, folder: write_ct(ct, folder / "ct.nii"),
    "mask": lambda ct, folder: write_mask(mask_of(ct), folder / "liver.nii.gz"),
    "label map": lambda ct, folder: write_label_map([mask_of(ct)], folder / "labels.nii.gz"),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_text_fields_of_written_nifti_are_blank(kind: str, ct: CTVolume, tmp_path: Path) -> None:
    path = WRITERS[kind](ct, tmp_path)
    image = Nifti1Image.load(path)
    for field in ("data_type", "db_name", "descrip", "aux_file", "intent_name"):
        assert image.header[field].item() == b"", field
    assert list(image.header.extensions) == []
    assert int(image.header["intent_code"]) == 0
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    assert {name for name, (start, stop) in TEXT_FIELDS.items() if raw[start:stop].strip(b"\0")} == set()
    assert leaks_in(tmp_path) == {}
    assert image.affine == pytest.approx(np.asarray(ct.grid.affine), abs=1e-4)


@pytest.mark.parametrize("kind", ["CT", "mask", "label map"])
def test_written_gzip_names_no_file_and_no_time(kind: str, ct: CTVolume, tmp_path: Path) -> None:
    head = WRITERS[kind](ct, tmp_path).read_bytes()[:10]
    assert head[:4] == b"\x1f\x8b\x08\x00"
    assert head[4:8] == bytes(4)


def test_log_of_a_library_that_tells_every_value_stays_clean(tmp_path: Path) -> None:
    install_clean_logs()
    stream = io.StringIO()
    handler, log = logging.StreamHandler(stream), logging.getLogger("pydicom")
    level = log.level
    log.addHandler(handler)
    pydicom.config.debug(True, default_handler=False)
    try:
        path = write_dicom(tmp_path)
        for file in sorted(path.rglob("*.dcm"))[:2]:
            assert canaries_in(str(pydicom.dcmread(file)))
        read_ct(path)
    finally:
        pydicom.config.debug(False, default_handler=False)
        log.removeHandler(handler)
        log.setLevel(level)
    assert stream.getvalue().count("DEBUG of pydicom, filereader.py line") > 100
    assert canaries_in(stream.getvalue()) == set()
