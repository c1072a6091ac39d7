"""Rows 82 to 88: DICOM files that are incomplete, compressed, multi-frame, or of another kind."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    JPEG2000,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from tests.catalogue.make_codestreams import compressed, in_8_bits_by_jpeg, jpeg_lossless, with_split_frames
from tests.catalogue.make_dicom import (
    Change,
    cut,
    dataset_file,
    dicomdir,
    encoded_as,
    enhanced,
    every,
    files_of,
    more,
    of_kind,
    one,
    patched,
    same_patient,
    series_of,
    signed,
    syntax,
)
from tests.catalogue.make_words import of_no_modality
from tests.catalogue.row import Maker, Row, accepted, refused, warned
from tests.vision.small_files import SHAPE, body_hu, dicom_bytes
from vision.errors import InputRefused
from vision.geometry import CTVolume
from vision.io import Choices, inventory
from vision.io.load import read_ct

MPR = {"ImageType": ["DERIVED", "SECONDARY", "MPR"]}
MIP = {"ImageType": ["DERIVED", "SECONDARY", "MIP"]}
DOSE = {"ImageType": ["ORIGINAL", "PRIMARY", "DOSE_INFO"]}
SCREEN = {
    "ImageType": ["DERIVED", "SECONDARY", "3D"],
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
    "ImagePositionPatient": None,
    "ImageOrientationPatient": None,
}
LOSSLESS = (
    (RLELossless, compressed(RLELossless)),
    (JPEGLossless, jpeg_lossless(JPEGLossless)),
    (JPEGLosslessSV1, jpeg_lossless(JPEGLosslessSV1)),
    (JPEGLSLossless, compressed(JPEGLSLossless)),
)
WIDE = (64, 64, 20)
"""A matrix that has the resolution levels which pydicom's JPEG 2000 encoder insists on."""
PLAIN = b"\x14\x001.2.840.10008.1.2.1\0"
OTHER_KINDS = (
    ("MR", "4"),
    ("PT", "128"),
    ("US", "6.1"),
    ("DX", "1.1"),
    ("SEG", "66.4"),
    ("SR", "88.33"),
    ("RTSTRUCT", "481.3"),
)


def shows_wide(ct: CTVolume) -> bool:
    """Whether a CT shows the body on the wider matrix."""
    return np.array_equal(ct.hu, body_hu(WIDE))


def lossy(name: str, make: Maker, within_hu: float, *, shape: tuple[int, int, int] = SHAPE) -> Row:
    """A row of slices that lost something: HU are near the true ones, and a warning says so."""

    def check(folder: Path) -> None:
        ct = read_ct(make(folder))
        assert "W_LOSSY" in {notice.code for notice in ct.warnings}
        assert np.abs(ct.hu - body_hu(shape).astype(int)).max() <= within_hu

    return Row(84, name, f"opened, W_LOSSY, within {within_hu:g} HU", check)


def _without_codec(folder: Path) -> None:
    path = series_of(compressed(JPEGLSLossless))(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pydicom.pixels.decoders.base.Decoder.is_available", False)
        with pytest.raises(InputRefused, match=r"^E_CODEC:.*pip install pylibjpeg"):
            read_ct(path)


def _short(slices: list[FileDataset]) -> None:
    slices[3].PixelData = slices[3].PixelData[:-200]


def _turned_matrix(slices: list[FileDataset]) -> None:
    slices[3].Rows, slices[3].Columns = slices[3].Columns, slices[3].Rows


def _empty(files: list[Path]) -> None:
    (files[0].parent / "empty").write_bytes(b"")
    (files[0].parent / "zeros").write_bytes(bytes(9000))


def _without_mark(files: list[Path]) -> None:
    files[19].write_bytes(files[19].read_bytes().replace(b"DICM", b"DXCM"))


def _enhanced(uid: str, shape: tuple[int, int, int] = SHAPE) -> FileDataset:
    whole = enhanced(shape=shape)
    whole.compress(uid)
    return whole


def _enhanced_phases(uid: str | None = None) -> FileDataset:
    """Two passes over the same positions as frames of one file."""
    whole = enhanced()
    frames = list(whole.PerFrameFunctionalGroupsSequence)
    both = []
    for index in (1, 256):
        for frame in deepcopy(frames):
            content = Dataset()
            content.TemporalPositionIndex = index
            frame.FrameContentSequence = [content]
            both.append(frame)
    whole.PerFrameFunctionalGroupsSequence = both
    whole.NumberOfFrames = len(both)
    stored = np.frombuffer(whole.PixelData, "<u2")
    whole.PixelData = np.concatenate([stored, stored + 30]).astype("<u2").tobytes()
    if uid:
        whole.compress(uid)
    return whole


def _phases(number: int, uid: str | None) -> Row:
    name = "two phases in one enhanced CT" + (", compressed" if uid else "")

    def check(folder: Path) -> None:
        path = dataset_file(lambda: _enhanced_phases(uid))(folder)
        with pytest.raises(InputRefused, match=r"(?s)^E_SERIES_AMBIGUOUS: There are 2 CT series.*--series 0"):
            read_ct(path)
        first, second = (read_ct(path, choices=Choices(series=index)).hu for index in "01")
        assert np.array_equal(first, body_hu())
        assert np.array_equal(second, body_hu() + 30)

    return Row(number, name, "refused, E_SERIES_AMBIGUOUS; --series N opens each exactly", check)


def _as(modality: str) -> Change:
    return of_kind(modality, dict(OTHER_KINDS)[modality])


def _with_others(folder: Path) -> Path:
    path = series_of()(folder)
    for modality, storage in OTHER_KINDS:
        (path / modality).mkdir()
        series_of(of_kind(modality, storage))(path / modality)
    return path


def _bare(files: list[Path]) -> None:
    for file in files:
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, True
        write_dataset(buffer, pydicom.dcmread(file))
        file.write_bytes(buffer.getvalue())


def _one_without_pixels(slices: list[FileDataset]) -> None:
    del slices[1:], slices[0].PixelData


def _beside_no_pixels(folder: Path) -> None:
    path = series_of(more("b", _one_without_pixels))(folder)
    assert same_patient(read_ct(path))
    assert [row.slices for row in inventory(path)] == [20, 1]
    with pytest.raises(InputRefused, match=r"^E_TRUNCATED: DICOM file \d+ ends before its pixels"):
        read_ct(path, choices=Choices(series="1"))


def _beside_original(folder: Path) -> None:
    path = series_of(more("mpr", every(**MPR), brighter=30))(folder)
    assert same_patient(read_ct(path))
    assert [row.modality for row in inventory(path)] == ["CT", "CT derived"]
    chosen = read_ct(path, choices=Choices(series="1"))
    assert "W_DERIVED" in {notice.code for notice in chosen.warnings}
    assert np.array_equal(chosen.hu, body_hu() + 30)


def _derived_alone(folder: Path) -> None:
    with pytest.raises(InputRefused, match=r"(?s)^E_DERIVED:.*CT derived.*--series 0"):
        read_ct(series_of(every(**MIP))(folder))


def _listed(name: str) -> Maker:
    return files_of(lambda files: (files[0].parent / name).write_bytes(dicom_bytes(dicomdir())))


ROWS: tuple[Row, ...] = (
    refused(82, "a file that is cut", "E_TRUNCATED", cut(0.7)),
    refused(82, "a file that ends in its header", "E_TRUNCATED", cut(0.3)),
    refused(82, "pixel data that are short", "E_TRUNCATED", series_of(_short)),
    refused(82, "no pixel data", "E_TRUNCATED", series_of(one(3, PixelData=None))),
    Row(82, "a slice without pixels beside a series", "opened exactly; E_TRUNCATED where chosen", _beside_no_pixels),
    refused(82, "compressed pixels that are cut", "E_TRUNCATED", cut(0.8, compressed(JPEGLSLossless))),
    warned(82, "empty files beside the slices", "W_DAMAGED_FILES", files_of(_empty), hu=body_hu),
    warned(82, "a last slice without its mark", "W_DAMAGED_FILES", files_of(_without_mark)),
    refused(83, "fewer rows than the pixels have", "E_CORRUPT", series_of(one(3, Rows=12))),
    refused(83, "more rows than the pixels have", "E_TRUNCATED", series_of(every(Rows=25))),
    refused(83, "one slice of another matrix", "E_TAG", series_of(_turned_matrix)),
    refused(83, "two rows", "E_TAG", series_of(every(Rows=2))),
    refused(83, "colours", "E_DTYPE", series_of(every(SamplesPerPixel=3))),
    refused(83, "12 bits packed", "E_DTYPE", series_of(every(BitsAllocated=12))),
    refused(83, "more bits stored than allocated", "E_TAG", series_of(every(BitsStored=17, HighBit=16))),
    Row(84, "a compression without a decoder", "refused, E_CODEC, with the pip command", _without_codec),
    refused(84, "an unknown syntax", "E_CODEC", patched(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.7\0")),
    refused(84, "a syntax that is only announced", "E_CODEC", patched(PLAIN, b"\x16\x001.2.840.10008.1.2.4.80")),
    refused(
        84, "a compression that is not announced", "E_CODEC", patched(b"1.2.5\0", b"1.2.1\0", compressed(RLELossless))
    ),
    refused(84, "a video", "E_CODEC", series_of(compressed(RLELossless), syntax("1.2.840.10008.1.2.4.100"))),
    *(accepted(84, f"lossless compression {uid}", series_of(change), same_patient) for uid, change in LOSSLESS),
    accepted(84, "signed numbers in JPEG-LS", series_of(signed, compressed(JPEGLSLossless)), same_patient),
    accepted(84, "lossless JPEG 2000", series_of(compressed(JPEG2000Lossless), shape=WIDE), shows_wide),
    accepted(
        84, "signed numbers in JPEG 2000", series_of(signed, compressed(JPEG2000Lossless), shape=WIDE), shows_wide
    ),
    lossy("JPEG 2000 with loss", series_of(compressed(JPEG2000, j2k_cr=[4]), shape=WIDE), 60, shape=WIDE),
    lossy("JPEG-LS with loss", series_of(compressed(JPEGLSNearLossless, jls_error=2)), 2),
    lossy("JPEG with 8 bits", series_of(in_8_bits_by_jpeg), 200),
    lossy("slices that once were compressed with loss", series_of(every(LossyImageCompression="01")), 0),
    accepted(84, "implicit elements", encoded_as(ImplicitVRLittleEndian), same_patient),
    accepted(84, "big-endian elements", encoded_as(ExplicitVRBigEndian), same_patient),
    *(
        accepted(84, f"bare elements from {first} on", files_of(_bare, every(**without)), same_patient)
        for first, without in (
            ("(0008,0008)", {}),
            ("(0008,0016)", {"ImageType": None}),
            ("(0008,0018)", {"ImageType": None, "SOPClassUID": None}),
        )
    ),
    accepted(85, "an enhanced multi-frame CT", dataset_file(enhanced), same_patient),
    *(
        accepted(85, f"an enhanced CT, {name}", dataset_file(lambda uid=uid: _enhanced(uid)), same_patient)  # type: ignore[misc]
        for name, uid in (("RLE", RLELossless), ("JPEG-LS", JPEGLSLossless))
    ),
    accepted(85, "an enhanced CT, JPEG 2000", dataset_file(lambda: _enhanced(JPEG2000Lossless, WIDE)), shows_wide),
    _phases(85, None),
    _phases(85, RLELossless),
    accepted(85, "frames in fragments", dataset_file(lambda: with_split_frames(_enhanced(RLELossless))), same_patient),
    refused(85, "fewer positions than frames", "E_TAG", dataset_file(lambda: enhanced(frames=9))),
    refused(85, "frames without positions", "E_TAG", series_of(one(3, NumberOfFrames=2))),
    *(refused(86, f"{kind} alone", "E_MODALITY", series_of(_as(kind))) for kind, _ in OTHER_KINDS),
    accepted(86, "all of them beside a CT", _with_others, same_patient),
    refused(86, "a slice of class CT that calls itself MR", "E_TAG", series_of(one(3, Modality="MR"))),
    accepted(86, "a CT that only its class names", series_of(of_no_modality), same_patient),
    Row(87, "an MPR beside its original", "the original opened exactly, the MPR listed", _beside_original),
    Row(87, "a MIP alone", "refused, E_DERIVED, naming --series N", _derived_alone),
    warned(87, "a MIP, --series 0", "W_DERIVED", series_of(every(**MIP)), choices=Choices(series="0"), hu=body_hu),
    warned(
        87, "a derived primary", "W_DERIVED", series_of(every(ImageType=["DERIVED", "PRIMARY", "AXIAL"])), hu=body_hu
    ),
    accepted(87, "3D screens beside the original", series_of(more("3d", every(**SCREEN))), same_patient),
    accepted(87, "dose screens beside the original", series_of(more("dose", every(**DOSE))), same_patient),
    refused(87, "screens alone", "E_MODALITY", series_of(every(**SCREEN))),
    accepted(88, "a DICOMDIR that leads out", _listed("DICOMDIR"), same_patient),
    accepted(88, "a DICOMDIR under another name", _listed("index"), same_patient),
)
