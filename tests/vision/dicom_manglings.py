"""What happens to DICOM series on their way: copied, renamed, packed, anonymised, converted and damaged folders."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from tests.catalogue.make_dicom import dicomdir
from tests.vision.small_files import dicom_bytes

Files = list[Path]
"""The slices of a series in the order of their names."""


@dataclass(frozen=True)
class Mangling:
    """`mangle` changes the files of a folder and returns what is opened then, None for the folder itself.

    `refused` is the code of the refusal, a pattern where it depends on the series; `warned` that of a warning that the
    series itself does not have. Opened, its voxels and grid are those of the series.
    """

    name: str
    mangle: Callable[[Files], Path | None]
    refused: str = ""
    warned: str = ""


def rewritten(change: Callable[[FileDataset], object], *, keep_compression: bool = True) -> Callable[[Files], None]:
    """Read every file, change its dataset, write it."""

    def mangle(files: Files) -> None:
        for file in files:
            dataset = _read(file) if keep_compression else _plain(file)
            with pydicom.config.disable_value_validation():
                change(dataset)
                _write(file, dataset)

    return mangle


def compressed(uid: str) -> Callable[[Files], None]:
    """Store the pixels of every file by another compression."""
    return rewritten(lambda dataset: dataset.compress(uid, generate_instance_uid=False), keep_compression=False)


def encoded(uid: str) -> Callable[[Files], None]:
    """Store the elements of every file in another encoding, the pixels uncompressed."""

    def mangle(files: Files) -> None:
        for file in files:
            dataset = _plain(file)
            dataset.file_meta.TransferSyntaxUID = UID(uid)
            if uid == ExplicitVRBigEndian:
                dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").byteswap().tobytes()
            file.unlink()
            with file.open("wb") as target:
                pydicom.dcmwrite(
                    target,
                    dataset,
                    implicit_vr=uid == ImplicitVRLittleEndian,
                    little_endian=uid != ExplicitVRBigEndian,
                    force_encoding=True,
                )

    return mangle


def zipped(inside: Callable[[Path], str], *, method: int = zipfile.ZIP_DEFLATED) -> Callable[[Files], Path]:
    """Pack the files under names of their own."""

    def mangle(files: Files) -> Path:
        path = files[0].parent.parent / "series.zip"
        with zipfile.ZipFile(path, "w", method, compresslevel=1) as archive:
            for file in files:
                archive.write(file, inside(file))
                # zipfile writes slashes; some programs for Windows do not.
                archive.infolist()[-1].filename = inside(file)
        return path

    return mangle


def _read(file: Path) -> FileDataset:
    return pydicom.dcmread(file, force=True)


def _plain(file: Path) -> FileDataset:
    dataset = _read(file)
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        dataset.decompress(generate_instance_uid=False)
    return dataset


def _write(file: Path, dataset: FileDataset) -> None:
    # The files may be links to those of other tests.
    file.unlink(missing_ok=True)
    dataset.save_as(file)


def _renamed(name: Callable[[int], str]) -> Callable[[Files], None]:
    return lambda files: [os.rename(file, file.parent / name(number)) for number, file in enumerate(files)] and None


def _nested(files: Files) -> None:
    for number, file in enumerate(files):
        folder = file.parent / "STUDY" / f"S{number % 3}" / f"I{number}"
        folder.mkdir(parents=True)
        file.rename(folder / "image.dcm")


def _with_junk(files: Files) -> None:
    for name, content in {
        "README.txt": b"Chest and abdomen of JANE DOE, see 1.2.840.10008.5.1.4.1.1.2",
        ".DS_Store": b"\0\0\0\1Bud1" + bytes(6000),
        "Thumbs.db": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(6000),
        "preview.jpg": b"\xff\xd8\xff\xe0" + bytes(3000),
        "report.pdf": b"%PDF-1.7\n" + bytes(3000),
        "series.xml": b"<?xml version='1.0'?><dicom uid='1.2.840.10008.1.2.1'/>",
        "series.json": b'{"SeriesInstanceUID": "1.2.3"}',
    }.items():
        (files[0].parent / name).write_bytes(content)


def _with_directory(files: Files) -> None:
    (files[0].parent / "DICOMDIR").write_bytes(dicom_bytes(dicomdir()))


def _from(mark: Callable[[bytes], int]) -> Callable[[Files], None]:
    """Keep every file from a place on."""

    def mangle(files: Files) -> None:
        for file in files:
            content = file.read_bytes()
            file.unlink()
            file.write_bytes(content[mark(content) :])

    return mangle


def without_meta(files: Files) -> None:
    """Keep the bare datasets, as old programs wrote them."""
    _from(lambda content: 144 + int.from_bytes(content[140:144], "little"))(files)


def _cut(keep: float) -> Callable[[Files], None]:
    def mangle(files: Files) -> None:
        middle = files[len(files) // 2]
        content = middle.read_bytes()
        middle.unlink()
        middle.write_bytes(content[: int(keep * len(content))])

    return mangle


def _added(name: str, **tags: object) -> Callable[[Files], None]:
    """Add a changed copy of the first file."""

    def mangle(files: Files) -> None:
        dataset = _read(files[0])
        dataset.SOPInstanceUID = "1.2.3.4"
        _set(dataset, tags)
        _write(files[0].parent / name, dataset)

    return mangle


def _set(dataset: Dataset, tags: dict[str, object]) -> None:
    for keyword, value in tags.items():
        if value is None:
            dataset.pop(keyword, None)
        else:
            setattr(dataset, keyword, value)


def tags(**values: object) -> Callable[[Files], None]:
    """Set tags of every file; None takes one away."""
    return rewritten(lambda dataset: _set(dataset, values))


def _with_reports(files: Files) -> None:
    _added("sr", Modality="SR", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", PixelData=None, Rows=None)(files)
    _added("seg", Modality="SEG", SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4", SeriesInstanceUID="1.2.3.5")(files)


def _second_series(files: Files) -> None:
    for number, file in enumerate(files):
        dataset = _read(file)
        dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "1.2.3.6", f"1.2.3.6.{number}"
        _write(file.with_name(f"{file.name}.again"), dataset)


def _private(dataset: Dataset) -> None:
    block = dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x10, "OB", b"SV10\4\3\2\1" + b"\xe0\x7f\x10\0" * 400 + bytes(90_000))
    block.add_new(0x20, "UN", os.urandom(20_000))


def _in_japanese(dataset: Dataset) -> None:
    dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    dataset.PatientName = "Yamada^Tarou=山田^太郎"


def _of_one_each(files: Files) -> None:
    for number, file in enumerate(files):
        dataset = _read(file)
        dataset.SeriesInstanceUID = f"1.2.3.{number + 10}"
        _write(file, dataset)


def _lost(files: Files) -> None:
    files[len(files) // 2].unlink()


def _emptied(files: Files) -> None:
    files[len(files) // 2].unlink()
    files[len(files) // 2].touch()


def _doubled(files: Files) -> None:
    (files[0].parent / "copy").write_bytes(files[3].read_bytes())


NAMELESS = {"PatientName": "", "PatientID": "", "PatientBirthDate": "", "StudyDate": "", "AccessionNumber": ""}
SCOUT = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}
NO_RESCALE = {"RescaleSlope": None, "RescaleIntercept": None}

MANGLINGS: tuple[Mangling, ...] = (
    Mangling("renamed", _renamed(lambda number: f"{number * 7919 % 9973:08x}.ima")),
    Mangling("in another order", _renamed(lambda number: f"{9999 - number}.dcm")),
    Mangling("without an extension", _renamed(lambda number: f"IM{number}")),
    Mangling("in folders within folders", _nested),
    Mangling("among other files", _with_junk),
    Mangling("with a DICOMDIR", _with_directory),
    Mangling("without the preamble", _from(lambda content: 132)),
    Mangling("with a slice twice", _doubled, warned="W_DUPLICATES_DROPPED"),
    Mangling("with a slice lost", _lost, refused="E_SLICES_MISSING"),
    Mangling("with a slice empty", _emptied, refused="E_SLICES_MISSING"),
    Mangling("with a slice cut in its pixels", _cut(0.6), refused="E_TRUNCATED"),
    Mangling("with a slice cut in its header", _cut(0.002), refused="E_TRUNCATED"),
    Mangling("with a scout", _added("scout", **SCOUT), warned="W_SCOUT_DROPPED"),
    Mangling("with a report and a segmentation", _with_reports, warned="W_STRAY_SLICES"),
    Mangling("with another series", _second_series, refused="E_SERIES_AMBIGUOUS"),
    Mangling("with a series for each slice", _of_one_each, refused="E_TOO_FEW_SLICES"),
    Mangling("with private blocks", rewritten(_private)),
    Mangling("with a name in Japanese", rewritten(_in_japanese)),
    Mangling("without the patient", tags(**NAMELESS)),
    Mangling("without InstanceNumber", tags(InstanceNumber=None)),
    Mangling("with one InstanceNumber for all", tags(InstanceNumber=1, SOPInstanceUID="1.2.3.7")),
    Mangling("with a wrong SliceLocation", tags(SliceLocation=0)),
    Mangling("without SliceThickness", tags(SliceThickness=None)),
    Mangling("with a wrong SliceThickness", tags(SliceThickness=1.25), warned="W_SLICES_APART"),
    Mangling("without RescaleType", tags(RescaleType=None)),
    Mangling("without a rescale", tags(**NO_RESCALE), refused="(E_HU|E_MODALITY_GUESS)"),
    Mangling("without positions", tags(ImagePositionPatient=None), refused="E_TAG"),
    Mangling("without PixelSpacing", tags(PixelSpacing=None), refused="E_TAG"),
    Mangling("as MONOCHROME1", tags(PhotometricInterpretation="MONOCHROME1")),
    Mangling("with implicit elements", encoded(ImplicitVRLittleEndian)),
    Mangling("with big-endian elements", encoded(ExplicitVRBigEndian)),
    Mangling("deflated", encoded(DeflatedExplicitVRLittleEndian)),
    Mangling("in RLE", compressed(RLELossless)),
    Mangling("in JPEG-LS", compressed(JPEGLSLossless)),
    Mangling("in JPEG 2000", compressed(JPEG2000Lossless)),
    Mangling("zipped", zipped(lambda file: file.name)),
    Mangling("zipped in folders within folders", zipped(lambda file: f"export/DOE JANE/1/{file.name}")),
    Mangling("zipped on Windows", zipped(lambda file: f"export\\1\\{file.name}")),
    Mangling("zipped without compression", zipped(lambda file: file.name, method=zipfile.ZIP_STORED)),
)
