"""The gate refuses what it cannot open without guessing, each with its own code, and never anything untyped."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest

from tests.vision.small_files import dicom_slices, nifti_bytes, write_series
from vision.errors import InputRefused, ResourceError
from vision.io import Limits
from vision.io.load import read_ct
from vision.io.refusal import refusing


def test_a_bomb_is_stopped_at_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "ct.nii.gz"
    path.write_bytes(gzip.compress(nifti_bytes()))
    with pytest.raises(InputRefused, match="E_SIZE: The content is larger"):
        read_ct(path, limits=Limits(bytes=1 << 14))


def test_a_folder_of_too_many_files_is_refused(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / str(number)).write_bytes(b"x")
    with pytest.raises(InputRefused, match="E_SIZE: The folder"):
        read_ct(tmp_path, limits=Limits(files=3))


def test_an_archive_of_too_many_files_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "ct.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(9):
            archive.writestr(str(number), b"x")
    with pytest.raises(InputRefused, match="E_ARCHIVE_COUNT"):
        read_ct(path, limits=Limits(files=8))


def test_too_little_memory_is_a_resource_error() -> None:
    def exhausts() -> None:
        raise MemoryError

    with pytest.raises(ResourceError, match="E_MEMORY"), refusing("E_CORRUPT", "It cannot be read"):
        exhausts()


def test_a_stack_beyond_the_limits_is_refused(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "a", dicom_slices())
    with pytest.raises(InputRefused, match="E_SIZE: 26 x 24 x 20"):
        read_ct(folder, limits=Limits(slices=10))
    with pytest.raises(InputRefused, match="E_SIZE: 20 slices"):
        read_ct(folder, limits=Limits(slices=4))
