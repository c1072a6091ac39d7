"""Fragments, codestreams, deflate streams and values of DICOM files are what they are, not what they claim."""

from __future__ import annotations

import contextlib
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from tests.catalogue.make_codestreams import ITEM, SEQUENCE_END, compressed, jpeg_lossless
from tests.catalogue.make_dicom import every, more, patched, same_patient, series_of, syntax, without
from tests.vision.small_files import SHAPE, dicom_slices
from vision.errors import InputRefused
from vision.io import inventory, series_table
from vision.io.dicom.codestream import frames_of, jpeg2000_size, jpeg_size, require_size
from vision.io.dicom.deflate import deflated_from
from vision.io.dicom.facts import kernel_class
from vision.io.dicom.series import was_dicom
from vision.io.dicom.tags import numbers, whole, words
from vision.io.load import read_ct

SIZE = (SHAPE[1], SHAPE[0])
END = SEQUENCE_END + bytes(4)
"""pydicom adds it when it writes the value."""


def fragment(content: bytes) -> bytes:
    return ITEM + struct.pack("<I", len(content)) + content


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=9), st.booleans())
def test_frames_come_out_as_they_went_in(frames: list[bytes], has_table: bool) -> None:
    value = encapsulate(frames, has_bot=has_table) + END
    padded = [frame + b"\0" * (len(frame) % 2) for frame in frames]
    assert frames_of(memoryview(value), len(frames), 1) == padded


@given(st.binary(max_size=120), st.integers(1, 5))
def test_no_bytes_make_frames_raise_anything_untyped(value: bytes, count: int) -> None:
    for start in (b"", fragment(b""), fragment(b"\0\0\0\0")):
        with contextlib.suppress(InputRefused):
            assert len(frames_of(memoryview(start + value), count, 1)) == count


def test_what_is_no_item_is_corrupt() -> None:
    with pytest.raises(InputRefused, match=r"^E_CORRUPT: The compressed pixels of DICOM file 7 are no items\."):
        frames_of(memoryview(fragment(b"") + b"\1\2\3\4" + bytes(4)), 1, 7)


def test_a_value_without_fragments_has_no_frame() -> None:
    with pytest.raises(InputRefused, match=r"^E_CORRUPT:.*cannot be told apart"):
        frames_of(memoryview(fragment(b"") + END), 1, 7)


@pytest.mark.parametrize("uid", [JPEGLosslessSV1, JPEGLSLossless])
def test_a_jpeg_tells_its_size(uid: str) -> None:
    slices = dicom_slices()[:1]
    (jpeg_lossless(uid) if uid == JPEGLosslessSV1 else compressed(uid))(slices)
    frame = frames_of(memoryview(slices[0].PixelData + END), 1, 1)[0]
    assert jpeg_size(frame) == SIZE
    assert jpeg_size(frame[:10]) is None
    assert jpeg_size(b"\xff\xff" + frame) is None
    require_size(frame, uid, SIZE, 2, 1)
    with pytest.raises(InputRefused, match=r"^E_CORRUPT: .* have another size: 24 x 26 pixels"):
        require_size(frame, uid, (24, 25), 2, 1)


def siz(width: int, height: int, *, tile: tuple[int, int], components: int = 1) -> bytes:
    """The start of a JPEG 2000 codestream."""
    sizes = struct.pack(">8I", width, height, 0, 0, *tile, 0, 0)
    return b"\xff\x4f\xff\x51" + struct.pack(">HH", 41, 0) + sizes + struct.pack(">H", components) + b"\x0f\1\1"


@pytest.mark.parametrize(
    ("frame", "size"),
    [
        (siz(512, 400, tile=(512, 400)), (400, 512)),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + siz(512, 400, tile=(512, 400)), (400, 512)),
        (siz(512, 512, tile=(1, 1)), None),
        (siz(512, 512, tile=(0, 1)), None),
        (siz(512, 512, tile=(512, 512), components=3), None),
        (siz(512, 512, tile=(512, 512))[:30], None),
        (b"\0" * 60, None),
    ],
)
def test_a_jpeg_2000_tells_its_size(frame: bytes, size: tuple[int, int] | None) -> None:
    assert jpeg2000_size(frame) == size


def test_a_run_length_frame_is_bounded_by_its_length_and_segments() -> None:
    good = struct.pack("<16I", 2, *([64, 90] + [0] * 13)) + bytes(60)
    require_size(good, RLELossless, SIZE, 2, 1)
    with pytest.raises(InputRefused, match=r"^E_CORRUPT: .* 9 run-length segments"):
        require_size(struct.pack("<I", 9) + good[4:], RLELossless, SIZE, 2, 1)
    with pytest.raises(InputRefused, match=r"^E_CORRUPT: .* 70000 bytes"):
        require_size(good + bytes(70_000 - len(good)), RLELossless, SIZE, 2, 1)


def test_the_syntax_of_a_file_is_read_from_its_meta_information_alone() -> None:
    meta = b"\2\0\x10\0UI\x16\0" + DeflatedExplicitVRLittleEndian.encode()
    assert deflated_from(bytes(128) + b"DICM" + meta + b"stream") == 132 + len(meta)
    other = b"\2\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0"
    assert deflated_from(bytes(128) + b"DICM" + other + DeflatedExplicitVRLittleEndian.encode()) is None


@pytest.mark.parametrize("how", ["zip", "deflated"])
def test_files_that_cannot_all_be_kept_are_inflated_again(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vision.io.dicom.series.KEPT_BYTES", 1)
    if how == "deflated":
        path = series_of(syntax(DeflatedExplicitVRLittleEndian))(tmp_path)
    else:
        path = tmp_path / "series.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in series_of()(tmp_path).iterdir():
                archive.write(file, file.name)
    assert same_patient(read_ct(path))


def test_a_header_beyond_its_bounds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vision.io.dicom.file.LONGER_BYTES", (68_000, 70_000))
    with pytest.raises(InputRefused, match=r"^E_SIZE: The header of DICOM file 1 does not end\."):
        read_ct(series_of(every(ImageComments="x" * 9000, PatientComments="x" * 90_000))(tmp_path))


@pytest.mark.parametrize("length", [60_000, 90_000, 1_100_000])
def test_a_header_longer_than_the_first_bytes_is_read(length: int, tmp_path: Path) -> None:
    def comment(slices: list) -> None:  # type: ignore[type-arg]
        for each in slices[:4]:
            block = each.private_block(0x0029, "SOMEBODY", create=True)
            block.add_new(1, "OB", bytes(length))
            item = Dataset()
            item.TextValue = "y" * 4000
            each.ReferencedImageSequence = [item] * 3

    assert same_patient(read_ct(series_of(comment)(tmp_path)))


def test_a_file_that_goes_on_behind_its_pixels_is_refused(tmp_path: Path) -> None:
    path = series_of()(tmp_path)
    victim = sorted(path.iterdir())[2]
    victim.write_bytes(victim.read_bytes() + bytes(3 << 20))
    with pytest.raises(InputRefused, match=r"^E_SIZE: DICOM file 3 holds more than its header explains"):
        read_ct(path)


def test_a_dicom_file_that_does_not_say_what_it_is_is_refused(tmp_path: Path) -> None:
    path = series_of(without(*range(1, 20)), every(Modality=None, SOPClassUID=None))(tmp_path)
    file = next(path.iterdir())
    file.write_bytes(file.read_bytes().replace(b"1.2.840.10008.5.1.4.1.1.2", b"x" * 25))
    with pytest.raises(InputRefused, match=r"^E_CORRUPT: DICOM file 1 does not say what it is"):
        read_ct(path)


@pytest.mark.parametrize(
    ("start", "was"),
    [
        (b"", True),
        (bytes(900), True),
        (bytes(128) + b"DXCM" + b"\2\0\0\0 1.2.840.10008.1.2", True),
        (b"see 1.2.840.10008.5.1.4.1.1.2 for CT" * 9, False),
        (b"\0\1\2\3" * 90, False),
    ],
)
def test_what_once_was_dicom_is_told_from_other_files(start: bytes, was: bool) -> None:
    assert was_dicom(start) is was


def test_values_are_numbers_or_nothing() -> None:
    dataset = Dataset()
    dataset.PixelSpacing, dataset.Rows, dataset.ImageType = [0.5, 1e-3], 512, ["a ", "B"]
    assert numbers([dataset], "PixelSpacing") == (0.5, 1e-3)
    assert whole([dataset], "Rows") == 512
    assert words([dataset], "ImageType") == ("A", "B")
    assert numbers([Dataset(), dataset], "KVP") == ()


@pytest.mark.parametrize("text", [b"1_0", b"nan", b"inf", b"1e999", b"0x10", b"1,5", b"abc", b"1 2"])
def test_what_is_no_decimal_string_is_refused(text: bytes, tmp_path: Path) -> None:
    path = patched(b"DS\x08\x00-1024.0 ", b"DS\x08\x00" + text.ljust(8))(tmp_path)
    with pytest.raises(InputRefused, match=r"^E_TAG: RescaleIntercept of DICOM file 1 is not a number"):
        read_ct(path)


@pytest.mark.parametrize(("codes", "word"), [(("BR38F", "3"), "soft"), (("I70F",), "sharp"), (("SURGEON",), None)])
def test_a_kernel_is_told_by_its_first_code(codes: tuple[str, ...], word: str | None) -> None:
    assert kernel_class(codes) == word


def test_the_table_shows_what_is_there_and_what_was_calculated(tmp_path: Path) -> None:
    mip = every(ImageType=["DERIVED", "SECONDARY", "MIP"])
    path = series_of(more("mip", mip), more("mr", every(Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")))(
        tmp_path
    )
    rows = inventory(path)
    assert [(row.modality, row.slices) for row in rows] == [("CT", 20), ("CT derived", 20), ("MR", 20)]
    lines = series_table(rows).splitlines()
    assert lines[0].split() == ["N", "id", "kind", "slices", "matrix", "spacing", "mm", "thick", "mm", "axes"]
    assert lines[1].split()[2:] == ["CT", "20", "24", "x", "26", "9", "x", "10", "3", "LPS"]
    assert lines[3].split()[2:] == ["MR", "20", "-", "-", "-", "-"]


def test_the_table_of_a_refusal_stays_readable(tmp_path: Path) -> None:
    changes = [more(str(number), without(*range(3, 20))) for number in range(45)]
    with pytest.raises(InputRefused, match=r"(?s)^E_SERIES_AMBIGUOUS: There are 46 CT series:.*and 6 more") as refusal:
        read_ct(series_of(*changes)(tmp_path))
    assert len(refusal.value.what.splitlines()) == 43


def test_slices_in_all_directions_take_little_time(tmp_path: Path) -> None:
    def turn(slices: list) -> None:  # type: ignore[type-arg]
        for number, each in enumerate(slices):
            angle = 0.002 * number
            axes = [float(np.cos(angle)), float(np.sin(angle)), 0, -float(np.sin(angle)), float(np.cos(angle)), 0]
            each.ImageOrientationPatient = axes

    with pytest.raises(InputRefused, match=r"^E_TOO_FEW_SLICES: Only 1 CT slices"):
        read_ct(series_of(*[more(str(number), same_series=True) for number in range(9)], turn)(tmp_path))


def test_an_id_stays_the_same_whatever_the_files_are_called(tmp_path: Path) -> None:
    path = series_of()(tmp_path)
    before = inventory(path)[0].identifier
    for number, file in enumerate(sorted(path.iterdir())):
        file.rename(path / f"{99 - number}")
    assert inventory(path)[0].identifier == before


@pytest.mark.parametrize(("slope", "dtype"), [(1, np.int16), (0.5, np.float32), (1.0001, np.float32)])
def test_hu_are_exact_in_the_smallest_type_that_holds_them(slope: float, dtype: type, tmp_path: Path) -> None:
    path = series_of(every(RescaleSlope=slope, RescaleIntercept=-1024 * slope))(tmp_path)
    stored = np.stack([np.frombuffer(each.PixelData, "<u2").reshape(SIZE).T for each in dicom_slices()], axis=2)
    hu = read_ct(path).hu
    assert hu.dtype == dtype
    assert np.array_equal(hu, (stored * slope - 1024 * slope).astype(dtype))


@pytest.mark.parametrize(("slope", "intercept"), [(1, 40000), (30, 0), (1, -40000), (10**9, 0)])
def test_values_that_no_scale_of_hu_reaches_are_refused(slope: int, intercept: int, tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"^E_HU: The values run from"):
        read_ct(series_of(every(RescaleSlope=slope, RescaleIntercept=intercept))(tmp_path))
