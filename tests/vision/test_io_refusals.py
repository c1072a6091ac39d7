"""The gate refuses what it cannot open without guessing, each with its own code, and never anything untyped."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest

from tests.vision.bad_files import BAD, Maker
from tests.vision.small_files import dicom_slices, nifti_bytes, write_series
from vision.errors import InputRefused, ResourceError
from vision.io import Choices, Limits
from vision.io.load import read_ct, read_inventory
from vision.io.refusal import refusing


@pytest.mark.parametrize(("name", "make", "code"), BAD, ids=[row[0] for row in BAD])
def test_bad_input_is_refused_with_its_code(name: str, make: Maker, code: str, tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=f"^{code}:") as refusal:
        read_ct(make(tmp_path))
    assert refusal.value.what
    assert refusal.value.remedy.endswith((".", "pyjpegls"))
    assert refusal.value.exit_code == 3


def test_a_refusal_names_neither_the_patient_nor_the_file(tmp_path: Path) -> None:
    for _, make, _ in BAD:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        with pytest.raises(InputRefused) as refusal:
            read_ct(make(folder))
        assert not any(word in str(refusal.value) for word in ("CANARY", "MRN4711", "instructions", str(folder)))


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


def test_a_chosen_series_of_two_slices_is_no_volume(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="E_TOO_FEW_SLICES: 2 slices"):
        read_ct(write_series(tmp_path / "a", dicom_slices()[:2]), choices=Choices(series="0"))


def test_the_table_of_series_says_how_to_choose(tmp_path: Path) -> None:
    make = next(row[1] for row in BAD if row[0] == "two series")
    folder = make(tmp_path)
    with pytest.raises(InputRefused, match="--series 0") as refusal:
        read_ct(folder)
    rows = read_inventory(folder)
    assert [row.slices for row in rows] == [20, 20]
    assert all(row.identifier in refusal.value.what for row in rows)
    second, first = (read_ct(folder, choices=Choices(series=name)) for name in ("1", rows[0].identifier))
    assert second.grid.matches(first.grid)
    with pytest.raises(InputRefused, match="no such series"):
        read_ct(folder, choices=Choices(series="7"))
