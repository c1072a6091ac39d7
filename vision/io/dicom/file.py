"""One DICOM file: its header within bounds, and where its pixels lie."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO, cast

from vision.errors import InputRefused
from vision.io.dicom.deflate import Inflating, deflated_from
from vision.io.dicom.tags import items, whole, word
from vision.io.files.entries import Entry
from vision.io.files.sniff import is_dicom
from vision.io.refusal import EXPORT_AGAIN, Limits, refusing

if TYPE_CHECKING:
    from pydicom import FileDataset
    from pydicom.tag import BaseTag

CT_CLASSES = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
HEAD_BYTES = 1 << 16
"""Nearly every header ends within; what is in it cannot take pydicom long."""
LONGER_BYTES = (1 << 20, 32 << 20)
"""What is read of the header of a CT, such as an enhanced one, that does not end within."""
MOST_ITEMS = 100_000
"""Of sequences. An enhanced CT of 2000 frames has about 30,000."""
AFTER_PIXELS = 1 << 20
MODALITY = 0x00080060
_ITEMS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_PIXELS = {b"\xe0\x7f\x10\x00": True, b"\x7f\xe0\x00\x10": False}
"""The tag Pixel Data (7FE0,0010) in the file's bytes to whether they are little endian."""
_EXPLICIT = (b"OB", b"OW", b"UN")
_UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True, eq=False)
class PixelValue:
    """Where the value of Pixel Data lies in a file, or in what a deflated file inflates to.

    `length` is None for encapsulated pixels, which end where they say. `available` counts the bytes from `at` to the
    end of the file; None when that is not known. A file that `inflates` is read through `content`, all of it in memory.
    """

    entry: Entry
    limits: Limits
    at: int
    length: int | None
    little_endian: bool
    inflates: bool
    available: int | None = None
    content: bytearray | None = None

    def read(self) -> memoryview:
        """Everything from the first byte of the value to the end of the file."""
        if self.inflates:
            return self._kept()
        with self.entry.open() as file:
            file.seek(self.at)
            return memoryview(file.read())

    def fill(self, target: memoryview, offset: int) -> int:
        """Copy bytes of the value from `offset` into `target`; how many there were."""
        if self.inflates:
            part = self._kept()[offset : offset + len(target)]
            target[: len(part)] = part
            return len(part)
        with self.entry.open() as file:
            file.seek(self.at + offset)
            return cast(io.BufferedReader, file).readinto(target)

    def _kept(self) -> memoryview:
        return memoryview(self.content if self.content is not None else self._inflated())[self.at :]

    def _inflated(self) -> bytearray:
        again = read_file(self.entry, self.limits, keep=True)
        # The entry itself refuses a file that is another than before.
        assert again is not None
        assert again.pixels is not None
        assert again.pixels.content is not None
        return again.pixels.content


@dataclass(frozen=True, eq=False)
class DicomFile:
    """A header as pydicom reads it, and where the pixels lie; `has_mark` tells whether the file says DICM."""

    entry: Entry
    header: FileDataset
    pixels: PixelValue | None
    has_mark: bool


@contextmanager
def pydicom_silenced() -> Iterator[None]:
    """Keep pydicom from warning or logging meanwhile: it quotes values of the file, and one may be a name."""
    log = logging.getLogger("pydicom")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def is_ct(header: FileDataset) -> bool:
    """Whether a header is of a CT, by its modality or by its class."""
    return word([header], "Modality").upper() == "CT" or class_of(header) in CT_CLASSES


def class_of(header: FileDataset) -> str:
    """The SOP class, by the file meta information where de-identification took it from the dataset; "" for none."""
    return word([header], "SOPClassUID") or word([header.file_meta], "MediaStorageSOPClassUID")


def read_file(entry: Entry, limits: Limits, *, keep: bool) -> DicomFile | None:
    """Read the header of a file; None when it is no DICOM.

    Where the file has to be inflated, `keep` keeps all of it, so that it is inflated once.
    Raises InputRefused: E_CORRUPT, E_TRUNCATED, E_SIZE.
    """
    with refusing("E_CORRUPT", f"DICOM file {entry.number} cannot be parsed"), entry.stream() as file:
        head = file.read(HEAD_BYTES)
        if not is_dicom(head):
            return None
        start = deflated_from(head)
        source: BinaryIO | Inflating = file
        if start is not None:
            source = Inflating(head[start:], file, entry.number)
        header, at, read = _header(head if start is None else source.read(HEAD_BYTES), source, entry.number)
        pixels = None
        if at is not None and is_ct(header):
            inflates = start is not None or entry.stream is not entry.open
            pixels = PixelValue(entry, limits, *_pixel_element(read, at, entry.number), inflates)
            expected = expected_bytes(header)
            if expected and (keep or not inflates):
                pixels = _measured(pixels, read, source, expected)
        return DicomFile(entry, header, pixels, head[128:132] == b"DICM")


def expected_bytes(header: FileDataset) -> int:
    """How many bytes the pixels take without compression, by what the header claims; 0 where it does not say."""
    rows, columns, bits = (whole([header], keyword) or 0 for keyword in ("Rows", "Columns", "BitsAllocated"))
    return rows * columns * -(-bits // 8) * max(1, len(items(header, "PerFrameFunctionalGroupsSequence")))


def _header(first: bytes, file: BinaryIO | Inflating, number: int) -> tuple[FileDataset, int | None, bytes]:
    """The header, where the element Pixel Data begins (None: nowhere), and what was read for it.

    Only of a CT more than the first bytes are read.
    """
    try:
        header, at = _parsed(first, number)
    except InputRefused:
        # A cut within a sequence is an error like any other; what the file is stands before its first sequence.
        header, at = _beginning(first), None
    read = first
    for most in LONGER_BYTES:
        if at is not None or len(first) < HEAD_BYTES or not is_ct(header):
            return header, at, read
        read += file.read(most - len(read))
        if max(map(read.count, _ITEMS)) > MOST_ITEMS:
            raise InputRefused("E_CORRUPT", f"DICOM file {number} has more than {MOST_ITEMS} items.", EXPORT_AGAIN)
        is_whole = len(read) < most
        with nullcontext() if is_whole or most == LONGER_BYTES[-1] else suppress(InputRefused):
            header, at = _parsed(read, number)
        if is_whole:
            return header, at, read
    if at is None:
        raise InputRefused("E_SIZE", f"The header of DICOM file {number} does not end.", EXPORT_AGAIN)
    return header, at, read


def _parsed(content: bytes, number: int) -> tuple[FileDataset, int | None]:
    import pydicom

    buffer = io.BytesIO(content)
    with refusing("E_CORRUPT", f"DICOM file {number} cannot be parsed"):
        header = pydicom.dcmread(buffer, stop_before_pixels=True, force=True)
    at = buffer.tell()
    # An element that does not end leaves pydicom with an empty dataset, wherever that ended.
    return header, at if len(header) and content[at : at + 4] in _PIXELS else None


def _beginning(content: bytes) -> FileDataset:
    """The elements up to the modality."""
    from pydicom.filereader import read_partial

    def is_behind(tag: BaseTag, vr: str | None, length: int) -> bool:
        return tag > MODALITY

    return read_partial(io.BytesIO(content), is_behind, force=True)


def _pixel_element(content: bytes, at: int, number: int) -> tuple[int, int | None, bool]:
    """Where the value of Pixel Data begins, its length (None: undefined), whether it is little endian.

    By the element's own bytes: some files are encoded otherwise than they announce.
    """
    little_endian = _PIXELS[content[at : at + 4]]
    start = at + 12 if content[at + 4 : at + 6] in _EXPLICIT else at + 8
    field = content[start - 4 : start]
    if len(field) < 4:
        raise InputRefused("E_TRUNCATED", f"DICOM file {number} ends before its pixels.", EXPORT_AGAIN)
    length = int.from_bytes(field, "little" if little_endian else "big")
    return start, None if length == _UNDEFINED else length, little_endian


def _measured(value: PixelValue, read: bytes, file: BinaryIO | Inflating, expected: int) -> PixelValue:
    """The value with what is known of the file's end: its size, or its content where it has to be inflated.

    Raises E_SIZE for a file that goes on long after the pixels that its header announces.
    """
    most = min(value.at + 2 * expected, value.limits.bytes) + AFTER_PIXELS
    content = None
    if isinstance(file, Inflating) or value.inflates:
        content = bytearray(read)
        while len(content) <= most and (block := file.read(min(AFTER_PIXELS, most + 1 - len(content)))):
            content += block
        size = len(content)
    else:
        size = file.seek(0, io.SEEK_END)
    if size > most:
        raise InputRefused(
            "E_SIZE", f"DICOM file {value.entry.number} holds more than its header explains.", EXPORT_AGAIN
        )
    return replace(value, available=size - value.at, content=content)
