"""What a person must know about a CT travels with it; what identifies the patient does not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.vision.small_files import AFFINE, body_hu, dicom_slices, nifti_gz, write_series
from vision.geometry import CTVolume
from vision.io import describe_ct
from vision.io.load import read_ct


def codes(ct: CTVolume) -> set[str]:
    return {notice.code for notice in ct.warnings}


def loaded(folder: Path, content: bytes) -> CTVolume:
    path = folder / "ct"
    path.write_bytes(content)
    return read_ct(path)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (lambda: nifti_gz(np.clip(body_hu(), -125, 275)), "W_HU_CLIPPED"),
        (lambda: nifti_gz(), "W_CONTRAST_UNKNOWN"),
        (lambda: nifti_gz(body_hu()[:, :, :10]), "W_PARTIAL_COVERAGE"),
        (lambda: nifti_gz(np.where(body_hu() < -900, -3024, body_hu()).astype(np.int16)), "W_PADDING"),
    ],
)
def test_nifti_is_accepted_with_a_warning(content, code: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert code in codes(loaded(tmp_path, content()))


@pytest.mark.parametrize("step_mm", [5.0, 5.0000005])
def test_a_whole_thin_unclipped_ct_warns_of_contrast_only(step_mm: float, tmp_path: Path) -> None:
    affine = AFFINE.copy()
    affine[2, 2] = step_mm
    hu = body_hu((26, 24, 40))
    assert codes(loaded(tmp_path, nifti_gz(hu, affine))) == {"W_CONTRAST_UNKNOWN"}


def test_a_scout_and_a_copy_are_dropped_with_a_warning(tmp_path: Path) -> None:
    slices = dicom_slices()
    copy = dicom_slices()[5]
    scout = dicom_slices()[0]
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    del scout.ImagePositionPatient
    ct = read_ct(write_series(tmp_path / "a", [*slices, copy, scout]))
    assert {"W_DUPLICATES_DROPPED", "W_SCOUT_DROPPED"} <= codes(ct)
    assert np.array_equal(ct.hu, body_hu())


def test_an_unmarked_scout_is_dropped_with_a_warning(tmp_path: Path) -> None:
    scout = dicom_slices()[0]
    scout.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    ct = read_ct(write_series(tmp_path / "a", [*dicom_slices(), scout]))
    assert "W_STRAY_SLICES" in codes(ct)
    assert ct.hu.shape == body_hu().shape


def test_dicom_without_rescale_is_taken_only_when_its_values_are_hu(tmp_path: Path) -> None:
    slices = dicom_slices(PixelRepresentation=1, BitsStored=16, HighBit=15)
    for k, one in enumerate(slices):
        one.PixelData = body_hu()[:, :, k].T.astype("<i2").tobytes()
        del one.RescaleSlope, one.RescaleIntercept
    ct = read_ct(write_series(tmp_path / "a", slices))
    assert "W_RESCALE_MISSING" in codes(ct)
    assert np.array_equal(ct.hu, body_hu())


def test_facts_are_numbers_and_our_own_words(tmp_path: Path) -> None:
    slices = dicom_slices(ContrastBolusStartTime="140216.69", AcquisitionTime="140327", ContrastBolusAgent="secret")
    ct = read_ct(write_series(tmp_path / "a", slices))
    assert dict(ct.facts) == {
        "source": "dicom",
        "kvp": 120.0,
        "slice_thickness_mm": 3.0,
        "kernel": "soft",
        "contrast_delay_s": 71.0,
        "phase": "portal_venous",
        "abdomen_mm": 160.0,
    }
    assert "W_CONTRAST_UNKNOWN" not in codes(ct)


@pytest.mark.parametrize(
    ("kernel", "word"),
    [("Br38f", "soft"), ("I70f", "sharp"), (["B60s", "1"], "sharp"), ("STANDARD", "soft"), ("LUNG", "sharp")],
)
def test_known_kernels_have_a_class(kernel: object, word: str, tmp_path: Path) -> None:
    ct = read_ct(write_series(tmp_path / "a", dicom_slices(ConvolutionKernel=kernel)))
    assert ct.facts["kernel"] == word


def test_an_unknown_kernel_has_none(tmp_path: Path) -> None:
    ct = read_ct(write_series(tmp_path / "a", dicom_slices(ConvolutionKernel="JANE DOE")))
    assert "kernel" not in ct.facts


@pytest.mark.parametrize(("word", "phase"), [("ARTERIAL", "arterial"), ("PRE_CONTRAST", "non_contrast")])
def test_an_enumerated_phase_is_taken(word: str, phase: str, tmp_path: Path) -> None:
    ct = read_ct(write_series(tmp_path / "a", dicom_slices(ContrastBolusAgentPhase=word)))
    assert ct.facts["phase"] == phase


def test_a_description_is_plain_json_without_the_patient(tmp_path: Path) -> None:
    facts = describe_ct(read_ct(write_series(tmp_path / "a", dicom_slices())))
    text = json.dumps(facts)
    assert not any(word in text for word in ("CANARY", "MRN4711", "instructions"))
    assert facts["shape"] == [26, 24, 20]
    assert facts["spacing_mm"] == [10.0, 9.0, 8.0]
    assert facts["extent_mm"] == [260.0, 216.0, 160.0]
    assert facts["axcodes"] == "LPS"
    assert abs(facts["hu_peaks"]["soft_tissue"] - 50) < 10
    assert abs(facts["hu_peaks"]["air"] + 1000) < 10
    assert facts["hu_clipped_to"] is None


def test_a_description_of_a_clipped_ct_says_where(tmp_path: Path) -> None:
    facts = describe_ct(loaded(tmp_path, nifti_gz(np.clip(body_hu(), -125, 275))))
    assert facts["hu_clipped_to"] == [-125, 275]
    assert facts["hu_peaks"]["air"] is None
