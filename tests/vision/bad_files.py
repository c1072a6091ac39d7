"""What the gate must refuse: one row each of a name, what makes it, and the code of the refusal."""

from __future__ import annotations

import gzip
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset
from pydicom.uid import UID, generate_uid

from tests.vision.small_files import (
    AFFINE,
    body_hu,
    dicom_bytes,
    dicom_slices,
    label_values,
    mr_values,
    nifti_bytes,
    nifti_gz,
    write_series,
)

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


def zip_of(fill: Callable[[zipfile.ZipFile], object]) -> Maker:
    """A maker that writes a zip archive."""

    def make(folder: Path) -> Path:
        path = folder / "ct.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            fill(archive)
        return path

    return make


def _header(**fields: object) -> Maker:
    return file_of(lambda: nifti_bytes(fields=fields))


def _voxels(make: Callable[[], np.ndarray]) -> Maker:
    return file_of(lambda: nifti_gz(make()))


def _corrupt_crc() -> bytes:
    content = bytearray(nifti_gz())
    content[-8] ^= 0xFF
    return bytes(content)


def _flipped_bit() -> bytes:
    content = bytearray(nifti_gz())
    content[len(content) // 2] ^= 0x10
    return bytes(content)


def _flat(columns: tuple[tuple[float, float, float], ...]) -> Maker:
    affine = AFFINE.copy()
    affine[:3, :3] = np.array(columns).T
    rows = {f"srow_{axis}": affine[n] for n, axis in enumerate("xyz")}
    return _header(qform_code=0, **rows)


def _with_nan(share: float) -> np.ndarray:
    hu = body_hu().astype(np.float32)
    hu.flat[: int(share * hu.size)] = np.nan
    return hu


def _fifo(folder: Path) -> Path:
    path = folder / "pipe"
    os.mkfifo(path)
    return path


def _empty_folder(folder: Path) -> Path:
    path = folder / "empty"
    path.mkdir()
    return path


def _extension_of_lies() -> bytes:
    content = nifti_bytes(fields={"vox_offset": 384.0})
    return content[:348] + b"\1\0\0\0" + struct.pack("<ii", 2**30, 6) + b"\0" * 24 + content[352:]


def _link(archive: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("ct.nii.gz")
    entry.external_attr = 0o120777 << 16
    archive.writestr(entry, "/etc/passwd")


def _encrypted(folder: Path) -> Path:
    path = zip_of(lambda archive: archive.writestr("ct.nii", nifti_bytes()))(folder)
    content = bytearray(path.read_bytes())
    content[content.rfind(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(content))
    return path


def _wrong_zip_crc(folder: Path) -> Path:
    path = folder / "ct.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("ct.nii", nifti_bytes())
    content = bytearray(path.read_bytes())
    content[3000] ^= 0xFF
    path.write_bytes(bytes(content))
    return path


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
    ("an empty file", file_of(lambda: b""), "E_EMPTY"),
    ("a text file", file_of(lambda: b"these are notes about a patient, not a CT\n" * 20), "E_TYPE"),
    ("a PNG", file_of(lambda: b"\x89PNG\r\n\x1a\n" + bytes(500)), "E_TYPE"),
    ("a PDF in gzip", file_of(lambda: gzip.compress(b"%PDF-1.7 " + bytes(500))), "E_TYPE"),
    ("a truncated gzip", file_of(lambda: nifti_gz()[:-2000]), "E_TRUNCATED"),
    ("a gzip of a truncated file", file_of(lambda: gzip.compress(nifti_bytes()[:-900])), "E_TRUNCATED"),
    ("a header only", file_of(lambda: nifti_bytes()[:352]), "E_TRUNCATED"),
    ("half a header", file_of(lambda: nifti_bytes()[:100]), "E_TRUNCATED"),
    ("a .nii cut in half", file_of(lambda: nifti_bytes()[:9000], "ct.nii"), "E_TRUNCATED"),
    ("a wrong checksum", file_of(_corrupt_crc), "E_CORRUPT"),
    ("a flipped bit", file_of(_flipped_bit), "E_CORRUPT"),
    ("a pair without .img", _header(magic=b"ni1"), "E_PAIR"),
    ("Analyze 7.5", _header(magic=b""), "E_NO_ORIENTATION"),
    ("bad magic", _header(magic=b"n+9"), "E_HDR"),
    ("another header size", file_of(lambda: struct.pack("<i", 349) + nifti_bytes()[4:]), "E_TYPE"),
    ("a negative offset", _header(vox_offset=-4.0), "E_HDR"),
    ("an endless offset", _header(vox_offset=1e30), "E_HDR"),
    ("an extension of lies", file_of(_extension_of_lies), "E_HDR"),
    ("an unknown unit", _header(xyzt_units=5), "E_HDR"),
    ("an intercept without slope", _header(scl_slope=0.0, scl_inter=5.0), "E_HDR"),
    ("an infinite slope", _header(scl_slope=np.inf, scl_inter=0.0), "E_HDR"),
    ("a huge slope", _header(scl_slope=1e30, scl_inter=0.0), "E_HU"),
    ("megabytes after the last voxel", file_of(lambda: nifti_bytes() + bytes(3 << 20)), "E_SIZE"),
    ("more slices than announced", _header(dim=[3, 26, 24, 12, 1, 1, 1, 1]), "E_SIZE"),
    ("a pipe", _fifo, "E_NOT_REGULAR"),
    ("nothing", lambda folder: folder / "missing.nii.gz", "E_NOT_FOUND"),
    ("a name with a null", lambda folder: folder / "a\0b", "E_NOT_FOUND"),
    ("an empty folder", _empty_folder, "E_NO_IMAGES"),
    ("a 2D image", _voxels(lambda: body_hu()[:, :, 4]), "E_DIMS"),
    ("a 2D image of three dimensions", _voxels(lambda: body_hu()[:, :, 4:5]), "E_DIMS"),
    ("five dimensions", _voxels(lambda: np.stack([body_hu()] * 2, -1)[..., None, :]), "E_DIMS"),
    ("a zero dimension", _header(dim=[3, 26, 0, 20, 1, 1, 1, 1]), "E_DIMS"),
    ("a rank of 9", _header(dim=[9, 26, 24, 20, 1, 1, 1, 1]), "E_DIMS"),
    ("several volumes", _voxels(lambda: np.stack([body_hu()] * 3, -1)), "E_4D"),
    ("two slices", _voxels(lambda: body_hu()[:, :, :2]), "E_TOO_FEW_SLICES"),
    ("a claim of 32767 cubed", _header(dim=[3, 32767, 32767, 32767, 1, 1, 1, 1]), "E_SIZE"),
    ("colours", _header(datatype=128, bitpix=24), "E_DTYPE"),
    ("complex numbers", _header(datatype=32, bitpix=64), "E_DTYPE"),
    ("an unknown number type", _header(datatype=77), "E_DTYPE"),
    ("a wrong bit count", _header(bitpix=8), "E_DTYPE"),
    ("many NaN", _voxels(lambda: _with_nan(0.05)), "E_NONFINITE"),
    ("one value everywhere", _voxels(lambda: np.zeros_like(body_hu())), "E_NO_SIGNAL"),
    ("a spacing of 0", _header(sform_code=0, pixdim=[1, 0, 9, 8, 0, 0, 0, 0]), "E_SPACING"),
    ("a spacing of NaN", _header(sform_code=0, pixdim=[1, np.nan, 9, 8, 0, 0, 0, 0]), "E_SPACING"),
    ("a spacing of 0.05 mm", file_of(lambda: nifti_gz(affine=np.diag([0.05, 0.05, 8, 1]))), "E_SPACING"),
    ("a spacing of 30 mm", file_of(lambda: nifti_gz(affine=np.diag([10, 9, 30.0, 1]))), "E_SPACING"),
    ("metres without a unit", file_of(lambda: nifti_gz(affine=np.diag([0.01, 0.009, 0.008, 1]))), "E_EXTENT"),
    ("a body of 30 mm", file_of(lambda: nifti_gz(affine=np.diag([1.0, 1, 1, 1]))), "E_EXTENT"),
    ("no orientation", _header(sform_code=0, qform_code=0), "E_NO_ORIENTATION"),
    ("a singular sform", _flat(((0, 0, 0), (0, 9, 0), (0, 0, 8))), "E_AFFINE"),
    ("a sheared sform", _flat(((10, 0, 0), (3, 9, 0), (0, 0, 8))), "E_AFFINE"),
    ("a NaN in the sform", _flat(((np.nan, 0, 0), (0, 9, 0), (0, 0, 8))), "E_AFFINE"),
    ("a quaternion that is no rotation", _header(sform_code=0, quatern_b=3.0), "E_AFFINE"),
    ("qform against sform", _header(srow_x=[10, 0, 0, -130]), "E_AFFINE_CONFLICT"),
    ("voxel sizes against sform", _header(qform_code=0, pixdim=[1, 10, 9, 4, 0, 0, 0, 0]), "E_AFFINE_CONFLICT"),
    ("HU with 1024 added", _voxels(lambda: (np.maximum(body_hu(), -1024) + 1024).astype(np.uint16)), "E_HU"),
    ("wrapped signs", _voxels(lambda: body_hu().view(np.uint16)), "E_HU"),
    ("a window in 8 bits", _voxels(lambda: np.clip((body_hu() + 160) * 0.7, 0, 255).astype(np.uint8)), "E_HU"),
    ("values from 0 to 1", _voxels(lambda: ((body_hu() + 1024) / 4000).astype(np.float32)), "E_HU"),
    ("hardly any tissue", _voxels(lambda: np.where(body_hu() > 380, 500, body_hu() // 9 - 900)), "E_HU"),
    ("an MR", _voxels(mr_values), "E_MODALITY_GUESS"),
    ("an MR with ringing below zero", _voxels(lambda: mr_values() - np.int16(40)), "E_MODALITY_GUESS"),
    ("an MR with an offset", _voxels(lambda: mr_values() - np.int16(300)), "E_MODALITY_GUESS"),
    ("a label map", _voxels(label_values), "E_LOOKS_LIKE_MASK"),
    ("a label map in float", _voxels(lambda: label_values().astype(np.float32)), "E_LOOKS_LIKE_MASK"),
    ("a zip with a path out of it", zip_of(lambda z: z.writestr("../ct.nii", nifti_bytes())), "E_ARCHIVE_PATH"),
    ("a zip with an absolute path", zip_of(lambda z: z.writestr("/ct.nii", nifti_bytes())), "E_ARCHIVE_PATH"),
    ("a zip with a link", zip_of(_link), "E_ARCHIVE_PATH"),
    ("a zip in a zip", zip_of(lambda z: z.writestr("a.zip", b"PK")), "E_ARCHIVE_NESTED"),
    ("a zip bomb", zip_of(lambda z: z.writestr("ct.nii", bytes(210 << 20))), "E_ARCHIVE_SIZE"),
    ("a zip of notes", zip_of(lambda z: z.writestr("README.txt", "notes")), "E_NO_IMAGES"),
    ("a zip that is cut", file_of(lambda: b"PK\x03\x04" + bytes(900)), "E_TRUNCATED"),
    ("an encrypted zip", _encrypted, "E_ARCHIVE_ENCRYPTED"),
    ("a zip with a wrong checksum", _wrong_zip_crc, "E_CORRUPT"),
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
    ("a truncated second volume", file_of(lambda: nifti_bytes(np.stack([body_hu()] * 2, -1))[:-9]), "E_4D"),
    ("colours in DICOM", series_of(lambda s: _set(s, "SamplesPerPixel", 3)), "E_DTYPE"),
)
