"""The parts of the gate for files and headers, where the catalogue does not reach every branch."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.catalogue.make_archives import entries, good_zip64
from tests.catalogue.make_nifti import header_of, is_the_body, sform_of
from tests.vision.small_files import SHAPE, body_hu, nifti_bytes
from vision.errors import InputRefused
from vision.io import Choices, Limits
from vision.io.files.entries import file_entry, zip_entries
from vision.io.files.stream import ByteStream
from vision.io.hu import HUHistogram
from vision.io.load import read_ct
from vision.io.nifti.header import read_header
from vision.io.refusal import LIMITS
from vision.io.upright import put_upright, upright_grid

ODD: tuple[dict[str, Any], ...] = (
    {"descrip": b"a text\0and more after its end"},
    {"aux_file": b"\x1b[31m"},
    {"intent_name": b"a\nb"},
    {"data_type": b"\x7f"},
    {"db_name": b"\1"},
    {"regular": b"q"},
    {"extents": 5},
    {"session_error": 1},
    {"dim_info": 0x40},
    {"dim_info": 0x05},
    {"dim": [3, 26, 24, 20, 7, 1, 1, 1]},
    {"dim": [5, 26, 24, 20, 1, 1, 1, 1]},
    {"pixdim": [3, 10, 9, 8, 0, 0, 0, 0]},
    {"pixdim": [1, 10, 9, 8, 0, -4, 0, 0]},
    {"pixdim": [1, 10, 9, 8, np.nan, 0, 0, 0]},
    {"xyzt_units": 2 + 56},
    {"xyzt_units": 2 + 128},
    {"qform_code": 9},
    {"intent_code": 999},
    {"intent_p2": 4.0},
    {"cal_min": 5.0, "cal_max": 1.0},
    {"cal_max": np.inf},
    {"toffset": 1.0},
    {"slice_duration": 0.5},
    {"slice_code": 3},
    {"slice_start": 3},
    {"slice_end": 400},
    {"slice_end": -1, "slice_start": -1},
    {"glmin": 9},
    {"glmax": 2_000_000},
    {"qform_code": 0, "qoffset_x": 5.0},
    {"qform_code": 0, "quatern_b": 2.0},
)
USUAL: tuple[dict[str, Any], ...] = (
    {"descrip": b"Time=140352.457", "aux_file": "Bauch \u00e9".encode(), "intent_name": b"CT"},
    {"dim": [4, 26, 24, 20, 1, 1, 1, 1], "pixdim": [1, 10, 9, 8, 2.5, 0, 0, 0], "xyzt_units": 10},
    {"dim": [3, 26, 24, 20, 0, 0, 0, 0], "extents": 16384},
    {"pixdim": [1, 10, 9, 8, 1, 1, 1, 1], "cal_min": -160.0, "cal_max": 240.0, "dim_info": 0x39},
    {"qform_code": 0, "quatern_b": 0, "quatern_c": 0, "quatern_d": 0, "qoffset_x": 0, "qoffset_y": 0, "qoffset_z": 0},
    {"sform_code": 0, "srow_x": 0, "srow_y": 0, "srow_z": 0},
    {"sform_code": 2, "qform_code": 2, "intent_code": 1002, "slice_end": 19},
)


def codes(path: Path) -> set[str]:
    ct = read_ct(path)
    assert is_the_body(ct)
    return {notice.code for notice in ct.warnings}


@pytest.mark.parametrize("fields", ODD, ids=str)
def test_what_no_program_writes_into_a_header_is_told(fields: dict[str, Any], tmp_path: Path) -> None:
    assert "W_HEADER_ODD" in codes(header_of(**fields)(tmp_path))


@pytest.mark.parametrize("fields", USUAL, ids=str)
def test_what_programs_write_into_a_header_is_not_told(fields: dict[str, Any], tmp_path: Path) -> None:
    assert "W_HEADER_ODD" not in codes(header_of(**fields)(tmp_path))


def test_the_warning_of_an_odd_header_quotes_no_text_of_it(tmp_path: Path) -> None:
    ct = read_ct(header_of(descrip=b"CANARY\0JANE", db_name=b"\1CANARY")(tmp_path))
    assert not any("CANARY" in notice.text or "JANE" in notice.text for notice in ct.warnings)


@pytest.mark.data
def test_no_real_header_is_refused_or_called_odd() -> None:
    folder = os.environ.get("BODYMAPS_DATA", "")
    if not folder:
        pytest.skip("BODYMAPS_DATA names no folder of real CTs")
    files = sorted(Path(folder).rglob("*.nii.gz"))
    assert files
    for path in files:
        with file_entry(path).stream() as file:
            notices = read_header(ByteStream(file, LIMITS.bytes), LIMITS).notices
        assert {notice.code for notice in notices} <= {"W_UNITS_UNKNOWN"}


def test_a_damaged_mark_of_extensions_is_told(tmp_path: Path) -> None:
    content = bytearray(nifti_bytes())
    content[349] = 7
    (tmp_path / "ct.nii").write_bytes(content)
    assert "W_HEADER_ODD" in codes(tmp_path / "ct.nii")


def test_a_path_that_no_system_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="E_NOT_FOUND: This is no usable path"):
        read_ct(tmp_path / ("n" * 5000))


def test_an_archived_file_that_is_read_back_and_forth_is_whole_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ct.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ct.nii", nifti_bytes())
    (entry,) = zip_entries(path, LIMITS)
    with entry.open() as file:
        assert file.seek(-4, 2)
        assert file.read() == nifti_bytes()[-4:]
    monkeypatch.setattr("vision.io.files.entries.LARGEST_IN_MEMORY", 1000)
    with pytest.raises(InputRefused, match="E_ARCHIVE_SIZE"):
        entry.open().__enter__()


@pytest.mark.parametrize("at", [-98, -34])
def test_a_damaged_zip64_end_is_refused(at: int, tmp_path: Path) -> None:
    path = good_zip64(tmp_path)
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(InputRefused, match="E_CORRUPT: The zip archive has a damaged end record"):
        zip_entries(path, LIMITS)


def test_a_directory_longer_than_its_archive_is_refused(tmp_path: Path) -> None:
    content = bytearray(entries(3))
    content[-10:-6] = (12 << 20).to_bytes(4, "little")
    (tmp_path / "ct.zip").write_bytes(content)
    with pytest.raises(InputRefused, match="E_CORRUPT"):
        zip_entries(tmp_path / "ct.zip", LIMITS)


def test_an_upright_grid_beyond_the_limits_is_refused(tmp_path: Path) -> None:
    path = sform_of((-10, 0, 0), (0, -9, 0), (0, -9, 8))(tmp_path)
    with pytest.raises(InputRefused, match="E_SIZE: Upright it would have"):
        read_ct(path, choices=Choices(resample=True), limits=Limits(voxels=26 * 24 * 20))


@pytest.mark.parametrize("degrees", [5.0, 12.0, 25.0])
def test_a_tilted_ramp_of_hu_keeps_its_place(degrees: float) -> None:
    """HU that grow evenly along the body are the same at the same millimetre, however far the slices slide."""
    affine = np.diag([-2.0, -2.0, 3.0, 1.0])
    affine[1, 2] = 3.0 * np.tan(np.deg2rad(degrees))
    _, j, k = np.meshgrid(*[np.arange(n) for n in (20, 30, 25)], indexing="ij")
    y, z = affine[1, 1] * j + affine[1, 2] * k, 3.0 * k
    grid = upright_grid((20, 30, 25), affine, LIMITS)
    found = put_upright((7 * y + 4 * z).astype(np.float32), affine, grid)
    places = grid.to_mm(np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1))
    wanted = 7 * places[..., 1] + 4 * places[..., 2]
    inside = np.zeros(grid.shape, dtype=bool)
    index = places @ np.linalg.inv(affine[:3, :3]).T
    inside[((index > 0.01) & (index < np.array([19, 29, 24]) - 0.01)).all(axis=-1)] = True
    assert inside.mean() > 0.4
    assert np.abs(found - wanted)[inside].max() < 1e-2


def test_a_histogram_counts_every_hu() -> None:
    hu = np.array([[[-32768, -1024, -1], [0, 1, 32767]]], dtype=np.int16)
    histogram = HUHistogram.of(hu)
    assert (histogram.minimum, histogram.maximum, histogram.distinct) == (-32768, 32767, 6)
    assert histogram.share(-1, 1) == 0.5
    whole = HUHistogram.of(body_hu())
    assert np.array_equal(whole.counts, HUHistogram.of(body_hu().astype(np.float32) + np.float32(0.25)).counts)
    assert whole.counts.sum() == np.prod(SHAPE)
