"""What the gate must refuse of DICOM: one row each of a name, what makes it, and the code of the refusal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset
from pydicom.uid import UID, generate_uid

from tests.vision.small_files import body_hu, dicom_bytes, dicom_slices, write_series

Maker = Callable[[Path], Path]


def file_of(content: Callable[[], bytes], name: str = "ct.nii.gz") -> Maker:
    """A maker that writes `content` to a file called `name`."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content())
        return path

    return make


def series_of(change: Callable[[list[FileDataset]], object]) -> Maker:
    """A maker that writes a series after `change` has damaged its datasets in place."""

    def make(folder: Path) -> Path:
        slices = dicom_slices()
        with pydicom.config.disable_value_validation():
            change(slices)
        return write_series(folder / "series", slices)

    return make


def _truncated_slice(folder: Path) -> Path:
    path = write_series(folder / "series", dicom_slices())
    first = sorted(path.iterdir())[0]
    first.write_bytes(first.read_bytes()[:-200])
    return path


def _patched(slope: int, old: bytes, new: bytes) -> Maker:
    """A series of that slope whose files have bytes replaced that pydicom would not write."""

    def make(folder: Path) -> Path:
        path = series_of(lambda slices: _set(slices, "RescaleSlope", slope))(folder)
        for file in path.iterdir():
            file.write_bytes(file.read_bytes().replace(old, new))
        return path

    return make


def _two_series(slices: list[FileDataset]) -> None:
    more = dicom_slices()
    for number, one in enumerate(more):
        one.SeriesInstanceUID = generate_uid(entropy_srcs=["another series"])
        one.SOPInstanceUID = generate_uid(entropy_srcs=["another", str(number)])
    slices.extend(more)


def _two_phases(slices: list[FileDataset]) -> None:
    more = dicom_slices(body_hu() + np.int16(30))
    for number, one in enumerate(more):
        one.SOPInstanceUID = generate_uid(entropy_srcs=["another", str(number)])
        one.AcquisitionNumber = 2
    slices.extend(more)


def _shifted(slices: list[FileDataset], shift: Callable[[int], tuple[float, float, float]]) -> None:
    for k, one in enumerate(slices):
        one.ImagePositionPatient = [float(a + b) for a, b in zip(one.ImagePositionPatient, shift(k), strict=True)]


def _set(slices: list[FileDataset], keyword: str, value: object) -> None:
    for one in slices:
        setattr(one, keyword, value)


def _syntax(slices: list[FileDataset], syntax: str) -> None:
    for one in slices:
        one.file_meta.TransferSyntaxUID = UID(syntax)


def _another_at_the_same_place(slices: list[FileDataset]) -> None:
    other = dicom_slices(body_hu() + np.int16(30))[4]
    other.SOPInstanceUID = generate_uid(entropy_srcs=["another"])
    slices.append(other)


BAD: tuple[tuple[str, Maker, str], ...] = (
    ("a single slice", file_of(lambda: dicom_bytes(dicom_slices()[0])), "E_TOO_FEW_SLICES"),
    ("a missing slice", series_of(lambda s: s.pop(7)), "E_SLICES_MISSING"),
    ("mixed spacing", series_of(lambda s: _shifted(s, lambda k: (0, 0, 3.1 * max(0, k - 9)))), "E_SPACING"),
    ("a tilted gantry", series_of(lambda s: _shifted(s, lambda k: (0, 2.1 * k, 0))), "E_TILT"),
    ("two series", series_of(_two_series), "E_SERIES_AMBIGUOUS"),
    ("two phases in one series", series_of(_two_phases), "E_SERIES_AMBIGUOUS"),
    ("two slices at one place", series_of(_another_at_the_same_place), "E_SERIES_AMBIGUOUS"),
    ("an MR series", series_of(lambda s: _set(s, "Modality", "MR")), "E_MODALITY"),
    ("no pixel spacing", series_of(lambda s: s[3].__delattr__("PixelSpacing")), "E_TAG"),
    ("a pixel spacing of 0", series_of(lambda s: _set(s, "PixelSpacing", [0, 0])), "E_TAG"),
    ("no position", series_of(lambda s: s[3].__delattr__("ImagePositionPatient")), "E_TAG"),
    ("no orientation in DICOM", series_of(lambda s: s[3].__delattr__("ImageOrientationPatient")), "E_TAG"),
    ("a skewed orientation", series_of(lambda s: _set(s, "ImageOrientationPatient", [1, 0, 0, 1, 1, 0])), "E_TAG"),
    ("one slice of another matrix", series_of(lambda s: setattr(s[3], "Rows", 12)), "E_TAG"),
    ("a truncated slice", _truncated_slice, "E_TRUNCATED"),
    ("no pixels", series_of(lambda s: s[3].__delattr__("PixelData")), "E_TRUNCATED"),
    ("an iodine map", series_of(lambda s: _set(s, "RescaleType", "MGML")), "E_HU"),
    ("a slope of letters", _patched(777, b"777", b"abc"), "E_TAG"),
    ("two rows", series_of(lambda s: _set(s, "Rows", 2)), "E_TAG"),
    ("an unknown syntax", _patched(1, b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.7\0"), "E_CODEC"),
    ("a deflated syntax", series_of(lambda s: _syntax(s, "1.2.840.10008.1.2.1.99")), "E_CODEC"),
    ("colours in DICOM", series_of(lambda s: _set(s, "SamplesPerPixel", 3)), "E_DTYPE"),
)
