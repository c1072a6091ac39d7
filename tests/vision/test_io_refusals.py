"""The gate refuses what it cannot open without guessing, each with its own code, and never anything untyped."""

from __future__ import annotations

import contextlib
import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.vision.bad_files import BAD, Maker
from tests.vision.small_files import body_hu, dicom_bytes, dicom_slices, nifti_bytes, write_series
from vision.errors import InputRefused, ResourceError, UserError
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
    path.write_bytes(gzip.compress(nifti_bytes() + bytes(8 << 20)))
    with pytest.raises(InputRefused, match="E_SIZE"):
        read_ct(path, limits=Limits(bytes=1 << 16))


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


def test_an_archive_with_one_name_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ct.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ct.nii", b"x")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("ct.nii", b"y")
    with pytest.raises(InputRefused, match=r"E_ARCHIVE_PATH.*twice"):
        read_ct(path)


def test_what_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> None:
        raise PermissionError

    monkeypatch.setattr("vision.io.entries.os.scandir", denied)
    with pytest.raises(InputRefused, match="E_PERM"):
        read_ct(tmp_path)


def test_too_little_memory_is_a_resource_error() -> None:
    def exhausts() -> None:
        raise MemoryError

    with pytest.raises(ResourceError, match="E_MEMORY"), refusing("E_CORRUPT", "It cannot be read"):
        exhausts()


def test_a_volume_that_is_not_there_or_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ct.nii"
    path.write_bytes(nifti_bytes(np.stack([body_hu()] * 2, -1))[:-9])
    with pytest.raises(InputRefused, match="E_4D: There is no volume 2"):
        read_ct(path, choices=Choices(volume=2))
    with pytest.raises(InputRefused, match=r"E_TRUNCATED.*last volume"):
        read_ct(path, choices=Choices(volume=0))


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


def _mutants(content: bytes, first: int, last: int, count: int, seed: int):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    for _ in range(count):
        mutant = bytearray(content)
        for at in rng.integers(first, last, rng.integers(1, 5)):
            mutant[at] = rng.integers(0, 256)
        yield bytes(mutant)


def _loads_or_refuses(path: Path) -> None:
    with contextlib.suppress(UserError):
        assert read_ct(path).hu.size


@pytest.mark.parametrize("count", [120, pytest.param(2000, marks=pytest.mark.slow)])
def test_no_nifti_header_raises_anything_untyped(count: int, tmp_path: Path) -> None:
    path = tmp_path / "ct.nii"
    for mutant in _mutants(nifti_bytes(), 0, 352, count, seed=11):
        path.write_bytes(mutant)
        _loads_or_refuses(path)


@pytest.mark.parametrize("count", [60, pytest.param(1500, marks=pytest.mark.slow)])
def test_no_dicom_header_raises_anything_untyped(count: int, tmp_path: Path) -> None:
    for number, one in enumerate(dicom_slices()[:4]):
        content = dicom_bytes(one)
        (tmp_path / str(number)).write_bytes(content)
    victim = tmp_path / "2"
    for mutant in _mutants(victim.read_bytes(), 128, 1200, count, seed=12):
        victim.write_bytes(mutant)
        _loads_or_refuses(tmp_path)
