"""Our grid of a DICOM series is the one of highdicom, wherever the slices lie and however they are turned."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset

from tests.catalogue.make_dicom import Change, every, one, series_of, shifted, shows_the_sphere, sphere_series, without
from tests.vision.small_files import body_hu, dicom_slices, write_series
from vision.errors import InputRefused
from vision.geometry import CTVolume
from vision.io import Choices, Limits
from vision.io.dicom.layout import between_slices
from vision.io.load import read_ct

TURN = np.deg2rad(20)
PLANES = {
    "axial": [1, 0, 0, 0, 1, 0],
    "prone": [-1, 0, 0, 0, -1, 0],
    "coronal": [1, 0, 0, 0, 0, -1],
    "sagittal": [0, 1, 0, 0, 0, -1],
    "oblique": [np.cos(TURN), np.sin(TURN), 0, -np.sin(TURN), np.cos(TURN), 0],
}


def agrees(ct: CTVolume, datasets: list[Dataset]) -> bool:
    """Whether each slice lies where highdicom has it, in the same direction and size, with the same HU.

    What lies far below air, outside the scanner's field of view, is air to the gate.
    """
    volume = highdicom.get_volume_from_series(datasets, dtype=np.float32, apply_presentation_lut=False)
    i, j, slices = ct.grid.shape
    corners = np.array([(0, 0), (i - 1, 0), (0, j - 1), (i - 1, j - 1)])
    ours = {}
    for k in range(slices):
        ours[_key(ct.grid.to_mm(np.column_stack([corners, np.full(4, k)])))] = ct.hu[:, :, k]
    for k in range(slices):
        # highdicom counts slices, rows, columns, and its places are LPS.
        places = volume.map_indices_to_reference(np.column_stack([np.full(4, k), corners[:, ::-1]])) * (-1, -1, 1)
        theirs = volume.array[k].T
        if not np.array_equal(ours[_key(places)], np.where(theirs < -1500, -1024, theirs)):
            return False
    return len(ours) == slices


def _key(places: np.ndarray) -> tuple[float, ...]:
    return tuple((places.round(2) + 0.0).ravel())


def placed(plane: str) -> list[FileDataset]:
    """A series whose planes are turned, stacked along their normal."""
    axes = np.array(PLANES[plane], dtype=float)
    normal = np.cross(axes[:3], axes[3:])
    slices = dicom_slices()
    for k, each in enumerate(slices):
        each.ImageOrientationPatient = axes.tolist()
        each.ImagePositionPatient = (np.array([30.0, -20.0, 55.0]) + 8.0 * k * normal).tolist()
    return slices


@pytest.mark.parametrize("plane", PLANES)
def test_the_grid_of_a_series_is_that_of_highdicom(plane: str, tmp_path: Path) -> None:
    slices = placed(plane)
    assert agrees(read_ct(write_series(tmp_path / "series", slices)), list(slices))


@pytest.mark.data
def test_the_grid_of_a_real_series_is_that_of_highdicom() -> None:
    folder = os.environ.get("BODYMAPS_DATA", "")
    if not folder:
        pytest.skip("BODYMAPS_DATA names no folder of real CTs")
    path = Path(folder) / "dicom" / "hcc_006.zip"
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".dcm")]
        datasets = [pydicom.dcmread(archive.open(name)) for name in names]
        assert agrees(read_ct(path), list(datasets))


@pytest.mark.parametrize("degrees", [-20, -8, 5, 25])
def test_a_sphere_of_any_tilt_has_its_size_and_place(degrees: float, tmp_path: Path) -> None:
    rows_along = (0.0, float(np.cos(np.deg2rad(degrees))), float(np.sin(np.deg2rad(degrees))))
    positions = [(-120.0, -115.0, -80.0 + 3.0 * k) for k in range(60)]
    path = sphere_series(positions, rows_along=rows_along)(tmp_path)
    with pytest.raises(InputRefused, match=rf"^E_TILT: The gantry was tilted by {abs(degrees)}\.0 degrees"):
        read_ct(path)
    ct = read_ct(path, choices=Choices(resample=True))
    assert ct.grid.axcodes == "LPS"
    assert not ct.grid.is_oblique
    assert shows_the_sphere(ct)


def test_what_a_tilted_scan_does_not_cover_becomes_air(tmp_path: Path) -> None:
    rows_along = (0.0, float(np.cos(0.4)), float(np.sin(0.4)))
    path = sphere_series([(-120.0, -115.0, -80.0 + 3.0 * k) for k in range(60)], rows_along=rows_along)(tmp_path)
    ct = read_ct(path, choices=Choices(resample=True))
    assert (ct.hu[:, -1, 0] == -1024).all()
    assert (ct.hu[:, 0, -1] == -1024).all()


def turned(degrees: float, decimals: int) -> Change:
    """Slices turned in their planes, their directions written with so many decimals."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    directions = np.round([c, s, 0, -s, c, 0], decimals).tolist()
    return every(ImageOrientationPatient=directions)


@pytest.mark.parametrize("degrees", [5, 26.6, 33, 44.9])
def test_directions_of_three_decimals_change_no_length(degrees: float, tmp_path: Path) -> None:
    rounded, exact = (
        read_ct(series_of(turned(degrees, decimals))(tmp_path / str(decimals))).grid for decimals in (3, 16)
    )
    assert np.allclose(rounded.spacing_mm, (10, 9, 8), rtol=1e-6)
    apart = rounded.to_mm(np.array([[25, 23, 19]])) - exact.to_mm(np.array([[25, 23, 19]]))
    # Half of the last decimal in each direction, over the 333 mm to the far corner.
    assert np.linalg.norm(apart) < 5e-4 * np.sqrt(2) * 333


def every_mm(step_mm: float, decimals: int) -> Change:
    """Slices at places that are written with so many decimals."""
    return shifted(lambda k: (0, 0, round(step_mm * k, decimals) - 8.0 * k))


@pytest.mark.parametrize("decimals", [1, 2])
@pytest.mark.parametrize("step_mm", [0.625, 2 / 3, 0.75, 1.25])
def test_thin_slices_at_rounded_places_open_evenly(step_mm: float, decimals: int, tmp_path: Path) -> None:
    shape = (26, 24, 40)
    ct = read_ct(series_of(every_mm(step_mm, decimals), shape=shape)(tmp_path))
    assert np.isclose(ct.grid.spacing_mm[2], round(step_mm * 39, decimals) / 39)
    assert np.array_equal(ct.hu, body_hu(shape))


def test_thin_slices_that_jitter_by_micrometres_open_evenly(tmp_path: Path) -> None:
    jitter = np.random.default_rng(0).uniform(-0.004, 0.004, 40)
    change = shifted(lambda k: (0, 0, -7.5 * k + jitter[k]))
    ct = read_ct(series_of(change, shape=(26, 24, 40))(tmp_path))
    assert np.isclose(ct.grid.spacing_mm[2], 0.5 + (jitter[39] - jitter[0]) / 39)
    assert not {"W_RESAMPLED", "W_GAPS_FILLED"} & {notice.code for notice in ct.warnings}


@pytest.mark.parametrize("step_mm", [0.5, 0.625, 1.25])
@pytest.mark.parametrize("lost", [1, 20, 38])
def test_a_missing_thin_slice_is_told(step_mm: float, lost: int, tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"^E_SLICES_MISSING: 1 of 40 slices"):
        read_ct(series_of(every_mm(step_mm, 2), without(lost), shape=(26, 24, 40))(tmp_path))


def test_thin_slices_of_two_spacings_are_told(tmp_path: Path) -> None:
    change = shifted(lambda k: (0, 0, 0.5 * k + 0.03 * max(0, k - 20) - 8.0 * k))
    with pytest.raises(InputRefused, match=r"^E_SPACING: The distance between slices varies from 0\.50 to 0\.53 mm"):
        read_ct(series_of(change, shape=(26, 24, 40))(tmp_path))


def test_slices_of_slightly_other_directions_lie_along_one_normal(tmp_path: Path) -> None:
    def lean(slices: list[FileDataset]) -> None:
        for each in slices:
            each.ImagePositionPatient = [-1200.0, -100.0, each.ImagePositionPatient[2]]
        slices[-1].ImageOrientationPatient = [1, 0, 0.0009, 0, 1, 0]

    ct = read_ct(series_of(lean)(tmp_path))
    assert np.allclose(ct.grid.spacing_mm, (10, 9, 8), rtol=1e-6)
    assert np.array_equal(ct.hu, body_hu())


@pytest.mark.parametrize(("shift_mm", "opens"), [(0.4, True), (0.6, False)])
def test_slices_may_slide_half_a_millimetre(shift_mm: float, opens: bool, tmp_path: Path) -> None:
    path = series_of(shifted(lambda k: (shift_mm * k / 19, 0, 0)))(tmp_path)
    if opens:
        assert np.array_equal(read_ct(path).hu, body_hu())
        return
    with pytest.raises(InputRefused, match=r"^E_TILT:.*--resample"):
        read_ct(path)


def test_one_slice_that_is_turned_a_little_is_no_part_of_the_stack(tmp_path: Path) -> None:
    turned = [float(np.cos(0.01)), float(np.sin(0.01)), 0, -float(np.sin(0.01)), float(np.cos(0.01)), 0]
    with pytest.raises(InputRefused, match=r"^E_SLICES_MISSING: 1 of 20 slices, at -244\.0 mm"):
        read_ct(series_of(one(7, ImageOrientationPatient=turned))(tmp_path))


def test_planes_between_slices_are_their_weighted_mean() -> None:
    stack = np.zeros((2, 2, 3), dtype=np.int16)
    stack[:, :, 1], stack[:, :, 2] = 100, -50
    found = between_slices(stack, np.array([0.0, 0.25, 1.0, 1.5, 2.0]))
    assert found.dtype == np.int16
    assert found[0, 0].tolist() == [0, 25, 100, 25, -50]


def test_tilt_and_missing_slices_need_both_choices(tmp_path: Path) -> None:
    positions = [(-120.0, -115.0 + 0.8 * k, -60.0 + 4.0 * k) for k in range(34) if k != 20]
    path = sphere_series(positions)(tmp_path)
    with pytest.raises(InputRefused, match=r"^E_TILT:"):
        read_ct(path, choices=Choices(allow_gaps=True))
    with pytest.raises(InputRefused, match=r"^E_SLICES_MISSING:.*at 20\.0 mm.*--allow-gaps"):
        read_ct(path, choices=Choices(resample=True))
    ct = read_ct(path, choices=Choices(allow_gaps=True, resample=True))
    assert {"W_GAPS_FILLED", "W_TILT_RESAMPLED"} <= {notice.code for notice in ct.warnings}
    assert shows_the_sphere(ct)


def test_a_slice_far_away_is_refused_without_filling_what_lies_between(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"^E_EXTENT: The slices lie over 1e\+09 mm"):
        read_ct(series_of(shifted(lambda k: (0, 0, 1e9 * (k == 19))))(tmp_path))


def test_more_planes_than_the_limit_are_not_made(tmp_path: Path) -> None:
    path = series_of(shifted(lambda k: (0, 0, -6.0 * k if k < 10 else -54.0)))(tmp_path)
    with pytest.raises(InputRefused, match=r"^E_SIZE: Even it would have 26 x 24 x 50 voxels"):
        read_ct(path, choices=Choices(resample=True), limits=Limits(voxels=26 * 24 * 45))


@pytest.mark.parametrize(("thickness", "is_told"), [("5.3", True), ("5.4", False), ("8", False), (None, False)])
def test_slices_thinner_than_their_distance_are_told(thickness: str | None, is_told: bool, tmp_path: Path) -> None:
    ct = read_ct(series_of(every(SliceThickness=thickness))(tmp_path))
    assert ("W_SLICES_APART" in {notice.code for notice in ct.warnings}) is is_told
