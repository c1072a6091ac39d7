"""Real DICOM series survive what happens to files on their way, voxel by voxel, or are refused for the right reason."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tests.vision.dicom_manglings import MANGLINGS, Mangling, without_meta
from vision.errors import InputRefused
from vision.geometry import CTVolume
from vision.io import Choices
from vision.io.load import read_ct

pytestmark = [pytest.mark.data, pytest.mark.slow]
SERIES = ("ts_slab", "hcc_006.zip")


@pytest.fixture(scope="module", params=SERIES)
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CTVolume]:
    """A folder of the slices of a real series, and the CT that it is."""
    data = os.environ.get("BODYMAPS_DATA", "")
    if not data:
        pytest.skip("BODYMAPS_DATA names no folder of real CTs")
    source = Path(data) / "dicom" / request.param
    folder = tmp_path_factory.mktemp("series")
    if source.is_dir():
        for file in source.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
    else:
        with zipfile.ZipFile(source) as archive:
            for name in archive.namelist():
                if name.endswith(".dcm"):
                    (folder / Path(name).name).write_bytes(archive.read(name))
    return folder, read_ct(source)


def linked(folder: Path, target: Path) -> list[Path]:
    """The files of a folder in a new one, without a copy of their bytes."""
    target.mkdir()
    for file in sorted(folder.iterdir()):
        os.link(file, target / file.name)
    return sorted(target.iterdir())


@pytest.mark.parametrize("mangling", MANGLINGS, ids=[one.name for one in MANGLINGS])
def test_a_mangled_series_is_the_same_ct_or_refused(
    mangling: Mangling, real: tuple[Path, CTVolume], tmp_path: Path
) -> None:
    folder, whole = real
    files = linked(folder, tmp_path / "series")
    path = mangling.mangle(files) or files[0].parent
    if mangling.refused:
        with pytest.raises(InputRefused, match=f"^{mangling.refused}:"):
            read_ct(path)
        return
    ct = read_ct(path)
    assert np.array_equal(ct.hu, whole.hu)
    assert ct.grid.matches(whole.grid)
    new = {notice.code for notice in ct.warnings} - {notice.code for notice in whole.warnings}
    assert new == ({mangling.warned} if mangling.warned else set())


def test_a_lost_slice_is_filled_on_request_and_no_other_is_touched(real: tuple[Path, CTVolume], tmp_path: Path) -> None:
    folder, whole = real
    files = linked(folder, tmp_path / "series")
    files[7].unlink()
    ct = read_ct(files[0].parent, choices=Choices(allow_gaps=True))
    assert ct.grid.matches(whole.grid)
    assert "W_GAPS_FILLED" in {notice.code for notice in ct.warnings}
    changed = np.flatnonzero((ct.hu != whole.hu).any(axis=(0, 1)))
    assert len(changed) == 1
    k = int(changed[0])
    between = (whole.hu[:, :, k - 1].astype(float) + whole.hu[:, :, k + 1]) / 2
    assert np.abs(ct.hu[:, :, k] - between).max() <= 0.5


def test_bare_datasets_open_unless_nothing_says_how_they_are_compressed(
    real: tuple[Path, CTVolume], tmp_path: Path
) -> None:
    folder, whole = real
    files = linked(folder, tmp_path / "series")
    is_compressed = pydicom.dcmread(files[0]).file_meta.TransferSyntaxUID.is_compressed
    without_meta(files)
    if is_compressed:
        with pytest.raises(InputRefused, match=r"^E_CODEC:.*does not say"):
            read_ct(files[0].parent)
        return
    ct = read_ct(files[0].parent)
    assert np.array_equal(ct.hu, whole.hu)
    assert ct.grid.matches(whole.grid)
