"""However a file stores a CT, the same place of the patient has the same HU at the same millimetres."""

from __future__ import annotations

import itertools
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import JPEGLSLossless, RLELossless, generate_uid

from tests.vision.small_files import (
    AFFINE,
    SHAPE,
    body_hu,
    dicom_bytes,
    dicom_slices,
    nifti_bytes,
    nifti_gz,
    write_series,
)
from vision.geometry import CTVolume, Grid, reorient_array
from vision.io.load import read_ct

AXCODES = [
    "".join(ends)
    for order in itertools.permutations((("R", "L"), ("A", "P"), ("S", "I")))
    for ends in itertools.product(*order)
]


def same_patient(ct: CTVolume) -> bool:
    """Whether a CT shows `body_hu` where AFFINE puts it, whatever its axes."""
    grid, order, signs = ct.grid.reoriented("LPS")
    return grid.matches(Grid(SHAPE, AFFINE)) and np.array_equal(reorient_array(ct.hu, order, signs), body_hu())


def loaded(folder: Path, content: bytes) -> CTVolume:
    path = folder / "any name at all"
    path.write_bytes(content)
    return read_ct(path)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(nifti_bytes, id="plain"),
        pytest.param(nifti_gz, id="gzip"),
        pytest.param(lambda: nifti_bytes(body_hu().astype(np.int32)), id="int32"),
        pytest.param(lambda: nifti_bytes(body_hu().astype(np.float32)), id="float32"),
        pytest.param(lambda: nifti_bytes(body_hu().astype(np.float64)), id="float64"),
        pytest.param(lambda: nifti_bytes(fields={"sform_code": 0}), id="qform only"),
        pytest.param(lambda: nifti_bytes(fields={"qform_code": 0}), id="sform only"),
        pytest.param(lambda: nifti_bytes(body_hu().astype(np.int32), big_endian=True), id="big-endian int32"),
    ],
)
def test_every_encoding_gives_the_same_int16(content, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ct = loaded(tmp_path, content())
    assert ct.hu.dtype == np.int16
    assert same_patient(ct)


def test_fractions_stay_float32(tmp_path: Path) -> None:
    ct = loaded(tmp_path, nifti_bytes(body_hu().astype(np.float32) + np.float32(0.25)))
    assert ct.hu.dtype == np.float32
    assert np.array_equal(ct.hu, body_hu() + np.float32(0.25))


def test_a_dicom_folder_and_its_zip_are_twins_of_the_nifti(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "deep" / "er", dicom_slices())
    (tmp_path / "README.txt").write_text("not an image")
    (tmp_path / ".DS_Store").write_bytes(b"\0" * 300)
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for file in folder.iterdir():
            zipped.write(file, f"DOE JANE/{file.name}")
        zipped.writestr("__MACOSX/._1", b"junk")
    for path in (tmp_path, folder, archive):
        assert same_patient(read_ct(path))


def test_a_zip_or_case_folder_of_one_nifti_opens(tmp_path: Path) -> None:
    archive = tmp_path / "ct.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("case/ct.nii.gz", nifti_gz())
    assert same_patient(read_ct(archive))
    case = tmp_path / "case"
    case.mkdir()
    (case / "ct.nii.gz").write_bytes(nifti_gz())
    (case / "combined_labels.nii.gz").write_bytes(b"never opened")
    assert same_patient(read_ct(case))


def test_feet_first_order_of_files_does_not_matter(tmp_path: Path) -> None:
    assert same_patient(read_ct(write_series(tmp_path / "a", dicom_slices()[::-1])))


def test_sagittal_dicom_lies_where_its_tags_say(tmp_path: Path) -> None:
    slices = dicom_slices()
    for k, one in enumerate(slices):
        one.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        one.ImagePositionPatient = [-80.0 + 8.0 * k, -120.0, 50.0]
    ct = read_ct(write_series(tmp_path / "a", slices))
    # Columns run to Posterior, rows to Inferior, and their normal to the Right.
    assert ct.grid.axcodes == "PIR"
    assert np.allclose(ct.grid.to_mm(np.array([0, 0, 0])), [-72.0, 120.0, 50.0])


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_compressed_pixels_are_the_same(syntax: str, tmp_path: Path) -> None:
    slices = dicom_slices()
    for one in slices:
        one.compress(syntax)
    assert same_patient(read_ct(write_series(tmp_path / "a", slices)))


def test_scaling_that_changes_from_slice_to_slice_is_applied_to_each(tmp_path: Path) -> None:
    slices = dicom_slices()
    for k, one in enumerate(slices):
        stored = np.frombuffer(one.PixelData, "<u2").astype(int)
        one.RescaleIntercept = -1024 - 3 * k
        one.PixelData = (stored + 3 * k).astype("<u2").tobytes()
    ct = read_ct(write_series(tmp_path / "a", slices))
    assert ct.hu.dtype == np.int16
    assert same_patient(ct)


def test_monochrome1_does_not_invert_hu(tmp_path: Path) -> None:
    assert same_patient(read_ct(write_series(tmp_path / "a", dicom_slices(PhotometricInterpretation="MONOCHROME1"))))


def test_bits_above_those_stored_are_ignored(tmp_path: Path) -> None:
    slices = dicom_slices()
    for one in slices:
        one.PixelData = (np.frombuffer(one.PixelData, "<u2") | 0x8000).tobytes()
    assert same_patient(read_ct(write_series(tmp_path / "a", slices)))


def test_signed_pixels_keep_their_sign(tmp_path: Path) -> None:
    slices = dicom_slices(PixelRepresentation=1, RescaleIntercept=0, BitsStored=16, HighBit=15)
    for k, one in enumerate(slices):
        one.PixelData = body_hu()[:, :, k].T.astype("<i2").tobytes()
    assert same_patient(read_ct(write_series(tmp_path / "a", slices)))


def test_an_enhanced_multiframe_ct_opens_from_its_one_file(tmp_path: Path) -> None:
    slices = dicom_slices()
    one = slices[0]
    one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    one.NumberOfFrames = len(slices)
    one.PixelData = b"".join(each.PixelData for each in slices)
    frames = []
    for each in slices:
        place, frame = Dataset(), Dataset()
        place.ImagePositionPatient = each.ImagePositionPatient
        frame.PlanePositionSequence = Sequence([place])
        frames.append(frame)
    plane, measures, scaling, shared = Dataset(), Dataset(), Dataset(), Dataset()
    plane.ImageOrientationPatient = one.ImageOrientationPatient
    measures.PixelSpacing, measures.SliceThickness = one.PixelSpacing, "3"
    scaling.RescaleSlope, scaling.RescaleIntercept, scaling.RescaleType = 1, -1024, "HU"
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = Sequence([plane]), Sequence([measures])
    shared.PixelValueTransformationSequence = Sequence([scaling])
    one.PerFrameFunctionalGroupsSequence, one.SharedFunctionalGroupsSequence = Sequence(frames), Sequence([shared])
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope"):
        delattr(one, keyword)
    path = tmp_path / "enhanced"
    path.write_bytes(dicom_bytes(one))
    assert same_patient(read_ct(path))


def test_another_series_of_two_images_does_not_disturb(tmp_path: Path) -> None:
    slices = dicom_slices()
    for number, one in enumerate(dicom_slices()[:2]):
        one.SeriesInstanceUID = generate_uid(entropy_srcs=["x"])
        one.SOPInstanceUID = generate_uid(entropy_srcs=["x", str(number)])
        slices.append(one)
    assert same_patient(read_ct(write_series(tmp_path / "a", slices)))
