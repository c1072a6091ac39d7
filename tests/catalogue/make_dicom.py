"""Makers of DICOM series that are wrong or unusual, from code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    UID,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    generate_uid,
)

from tests.catalogue.row import Maker
from tests.vision.small_files import AFFINE, SHAPE, body_hu, dicom_bytes, dicom_slices, write_series
from vision.geometry import CTVolume, Grid, reorient_array

Change = Callable[[list[FileDataset]], object]


def series_of(*changes: Change, shape: tuple[int, int, int] = SHAPE) -> Maker:
    """A maker that writes a series after `changes` have damaged its datasets in place."""

    def make(folder: Path) -> Path:
        slices = dicom_slices(body_hu(shape))
        with pydicom.config.disable_value_validation():
            for change in changes:
                change(slices)
        return write_series(folder / "series", slices)

    return make


def files_of(change: Callable[[list[Path]], object], *changes: Change) -> Maker:
    """A maker that writes a series and then damages its files, which come in the order of the slices."""

    def make(folder: Path) -> Path:
        path = series_of(*changes)(folder)
        change(sorted(path.iterdir(), key=lambda file: int(file.name.split("_")[1])))
        return path

    return make


def patched(old: bytes, new: bytes, *changes: Change, only: int | None = None) -> Maker:
    """A maker of files whose bytes are replaced by what pydicom would not write; `only` in one of them."""

    def patch(files: list[Path]) -> None:
        for number, file in enumerate(files):
            if only in (None, number):
                content = file.read_bytes()
                assert old in content
                file.write_bytes(content.replace(old, new))

    return files_of(patch, *changes)


def every(**values: object) -> Change:
    """Set tags of every slice; None takes one away."""
    return lambda slices: [_set(one, values) for one in slices]


def one(number: int, **values: object) -> Change:
    """Set tags of one slice; None takes one away."""
    return lambda slices: _set(slices[number], values)


def _set(dataset: FileDataset, values: dict[str, object]) -> None:
    for keyword, value in values.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)


def without(*numbers: int) -> Change:
    """Take slices away."""
    return lambda slices: [slices.pop(number) for number in sorted(numbers, reverse=True)]


def shifted(shift_mm: Callable[[int], tuple[float, float, float]]) -> Change:
    """Move slice k by `shift_mm(k)`."""

    def change(slices: list[FileDataset]) -> None:
        for k, each in enumerate(slices):
            each.ImagePositionPatient = [
                float(a + b) for a, b in zip(each.ImagePositionPatient, shift_mm(k), strict=True)
            ]

    return change


def more(name: str, change: Change = lambda slices: None, *, brighter: int = 0, same_series: bool = False) -> Change:
    """Add a second set of the same slices, by default as another series, after a change of its own."""

    def add(slices: list[FileDataset]) -> None:
        others = dicom_slices(body_hu() + np.int16(brighter))
        for number, each in enumerate(others):
            each.SOPInstanceUID = generate_uid(entropy_srcs=[name, str(number)])
            if not same_series:
                each.SeriesInstanceUID = generate_uid(entropy_srcs=[name])
        change(others)
        slices.extend(others)

    return add


def signed(slices: list[FileDataset]) -> None:
    """Store HU themselves as signed numbers of 16 bits."""
    for each in slices:
        each.PixelRepresentation, each.BitsStored, each.HighBit = 1, 16, 15
        each.RescaleIntercept = 0
        each.PixelData = (np.frombuffer(each.PixelData, "<u2").astype("<i2") - 1024).astype("<i2").tobytes()


def rescaled(slices: list[FileDataset]) -> None:
    """Give each slice an intercept of its own and every second one half the slope; HU stay what they are."""
    for k, each in enumerate(slices):
        halves = 1 + k % 2
        stored = np.frombuffer(each.PixelData, "<u2").astype(int)
        each.RescaleIntercept, each.RescaleSlope = -1024 - 3 * k, 1 / halves
        each.PixelData = ((stored + 3 * k) * halves).astype("<u2").tobytes()


def with_high_bits(slices: list[FileDataset]) -> None:
    """Write above the 12 bits that are stored, as scanners did for overlays."""
    for each in slices:
        each.BitsStored, each.HighBit = 12, 11
        each.PixelData = (np.frombuffer(each.PixelData, "<u2") ^ 0x7000).tobytes()


def syntax(uid: str) -> Change:
    """Announce a transfer syntax without encoding anything in it."""
    return lambda slices: [setattr(each.file_meta, "TransferSyntaxUID", UID(uid)) for each in slices]


def enhanced(*, frames: int = SHAPE[2], shape: tuple[int, int, int] = SHAPE) -> FileDataset:
    """The series as one enhanced multi-frame CT, `frames` of which have a position."""
    slices = dicom_slices(body_hu(shape))
    whole = slices[0]
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    whole.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    whole.NumberOfFrames = len(slices)
    whole.PixelData = b"".join(each.PixelData for each in slices)
    whole.SharedFunctionalGroupsSequence = [
        _group(
            PlaneOrientationSequence={"ImageOrientationPatient": whole.ImageOrientationPatient},
            PixelMeasuresSequence={"PixelSpacing": whole.PixelSpacing, "SliceThickness": "3"},
            PixelValueTransformationSequence={"RescaleSlope": 1, "RescaleIntercept": -1024, "RescaleType": "HU"},
        )
    ]
    whole.PerFrameFunctionalGroupsSequence = [
        _group(PlanePositionSequence={"ImagePositionPatient": each.ImagePositionPatient}) for each in slices[:frames]
    ]
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope"):
        delattr(whole, keyword)
    return whole


def _group(**sequences: dict[str, object]) -> Dataset:
    group = Dataset()
    for keyword, values in sequences.items():
        item = Dataset()
        for name, value in values.items():
            setattr(item, name, value)
        setattr(group, keyword, [item])
    return group


def file_of(content: Callable[[], bytes]) -> Maker:
    """A maker of one file."""

    def make(folder: Path) -> Path:
        path = folder / "ct"
        path.write_bytes(content())
        return path

    return make


def dataset_file(make: Callable[[], FileDataset]) -> Maker:
    """A maker of one DICOM file."""
    return file_of(lambda: dicom_bytes(make()))


def same_patient(ct: CTVolume) -> bool:
    """Whether a CT shows `body_hu` where AFFINE puts it, whatever its axes."""
    grid, order, signs = ct.grid.reoriented("LPS")
    return grid.matches(Grid(SHAPE, AFFINE)) and np.array_equal(reorient_array(ct.hu, order, signs), body_hu())


SPHERE_MM, CENTRE_LPS_MM = 50.0, (20.0, -15.0, 10.0)


def sphere_hu(lps_mm: np.ndarray) -> np.ndarray:
    """HU (...) at places (..., 3): a sphere of 50 mm and 150 HU in a body of 50 HU with a rim of fat, in air."""
    x, y, _ = np.moveaxis(lps_mm, -1, 0)
    radius = np.hypot(x / 130, y / 100)
    hu = np.select([radius < 0.8, radius < 1], [50.0, -100.0], -1000.0)
    inside = SPHERE_MM / 2 - np.linalg.norm(lps_mm - CENTRE_LPS_MM, axis=-1)
    # An edge of 2 mm, as a scanner's blur makes it; its middle is the surface.
    return np.rint(hu + (150 - hu) * np.clip(inside / 2 + 0.5, 0, 1))


def sphere_series(
    positions: Sequence[tuple[float, float, float]], *, rows_along: tuple[float, float, float] = (0.0, 1.0, 0.0)
) -> Maker:
    """A maker of slices of 140 x 120 pixels of 2 mm at positions (LPS mm); columns run along x, rows as given."""

    def make(folder: Path) -> Path:
        slices = dicom_slices(np.zeros((140, 120, len(positions)), dtype=np.int16))
        across, down = np.meshgrid(np.arange(140) * 2.0, np.arange(120) * 2.0, indexing="ij")
        for each, position in zip(slices, positions, strict=True):
            places = np.asarray(position) + across[..., None] * (1.0, 0, 0) + down[..., None] * np.asarray(rows_along)
            each.PixelSpacing = [2.0, 2.0]
            each.ImageOrientationPatient = [1, 0, 0, *rows_along]
            each.ImagePositionPatient = list(map(float, position))
            each.PixelData = (sphere_hu(places).T + 1024).astype("<u2").tobytes()
        return write_series(folder / "sphere", slices)

    return make


def shows_the_sphere(ct: CTVolume) -> bool:
    """Whether the sphere has its width along each axis to a voxel, its volume to 1 mm of diameter, its place."""
    inside = np.argwhere(ct.hu > 100)
    widths = (inside.max(axis=0) - inside.min(axis=0) + 1) * ct.grid.spacing_mm
    equivalent = (6 / np.pi * len(inside) * ct.grid.voxel_ml * 1000) ** (1 / 3)
    apart = np.linalg.norm(ct.grid.to_mm(inside).mean(axis=0) - np.array(CENTRE_LPS_MM) * (-1, -1, 1))
    is_wide = (np.abs(widths - SPHERE_MM) <= ct.grid.spacing_mm).all()
    return bool(is_wide and abs(equivalent - SPHERE_MM) < 1 and apart < 0.5)


def cut(keep: float, *changes: Change) -> Maker:
    """A maker of a series whose fourth file keeps only a share of its bytes."""

    def shorten(files: list[Path]) -> None:
        content = files[3].read_bytes()
        files[3].write_bytes(content[: int(keep * len(content))])

    return files_of(shorten, *changes)


def of_kind(modality: str, storage: str) -> Change:
    """Make every slice an object of another modality and class."""

    def change(slices: list[FileDataset]) -> None:
        for each in slices:
            each.Modality, each.SOPClassUID = modality, f"1.2.840.10008.5.1.4.1.1.{storage}"
            if modality in ("SR", "RTSTRUCT"):
                del each.PixelData, each.Rows, each.Columns

    return change


def encoded_as(uid: str) -> Maker:
    """A maker of a series whose elements are implicit, or big-endian."""

    def rewrite(files: list[Path]) -> None:
        for file in files:
            dataset = pydicom.dcmread(file)
            dataset.file_meta.TransferSyntaxUID = UID(uid)
            if uid == ExplicitVRBigEndian:
                dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").byteswap().tobytes()
            pydicom.dcmwrite(
                file,
                dataset,
                implicit_vr=uid == ImplicitVRLittleEndian,
                little_endian=uid != ExplicitVRBigEndian,
                force_encoding=True,
            )

    return files_of(rewrite)


def dicomdir() -> FileDataset:
    """A directory of files that leads out of its folder."""
    listing = dicom_slices()[0]
    listing.file_meta.MediaStorageSOPClassUID = listing.SOPClassUID = MediaStorageDirectoryStorage
    del listing.Modality, listing.PixelData
    with pydicom.config.disable_value_validation():
        listing.ReferencedFileID = ["..", "..", "etc", "passwd"]
    return listing
