"""The stored numbers of DICOM slices, uncompressed or decoded; nothing is allocated for what a header merely claims."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vision.errors import InputRefused
from vision.io.dicom.codestream import frames_of, require_size
from vision.io.dicom.deflate import DEFLATED
from vision.io.dicom.file import DicomFile, PixelValue
from vision.io.dicom.tags import whole, word
from vision.io.refusal import EXPORT_AGAIN, refusing

if TYPE_CHECKING:
    from vision.io.dicom.slice import Slice

NATIVE = ("", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", DEFLATED, "1.2.840.10008.1.2.2")
"""Transfer syntaxes without compression of pixels."""
LOSSY = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 81, 91, 203))
"""Transfer syntaxes that may lose something: JPEG, near-lossless JPEG-LS, JPEG 2000, high-throughput JPEG 2000."""
UNCOMPRESSED = "Export it uncompressed."
CODECS = "Run: pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg pyjpegls."


@dataclass(frozen=True, eq=False)
class Pixels:
    """How one file stores its frames: `shape` (rows, columns), bits allocated and stored for each number."""

    value: PixelValue
    syntax: str
    shape: tuple[int, int]
    frames: int
    allocated: int
    stored: int
    signed: bool

    @property
    def dtype(self) -> np.dtype:
        """The number type of a stored value, in the file's byte order."""
        order = "<" if self.value.little_endian else ">"
        return np.dtype(f"{order}{'i' if self.signed else 'u'}{self.allocated // 8}")

    @property
    def range(self) -> tuple[int, int]:
        """The least and the greatest number that the stored bits can hold."""
        return (-(1 << self.stored - 1), (1 << self.stored - 1) - 1) if self.signed else (0, (1 << self.stored) - 1)

    @property
    def frame_bytes(self) -> int:
        """Of one frame without compression."""
        return self.shape[0] * self.shape[1] * self.allocated // 8


def pixels_of(file: DicomFile, shape: tuple[int, int], frames: int) -> Pixels:
    """Judge how a file stores its pixels. Raises E_TAG, E_DTYPE, E_CODEC, E_TRUNCATED, E_CORRUPT."""
    number, header, value = file.entry.number, file.header, file.pixels
    assert value is not None
    samples, allocated, stored, high, sign = (
        whole([header], keyword)
        for keyword in ("SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
    )
    if samples not in (None, 1):
        raise InputRefused("E_DTYPE", f"DICOM file {number} holds colours.", "Export the original CT slices.")
    if allocated not in (8, 16, 32) or (allocated == 8 and not value.little_endian):
        raise InputRefused("E_DTYPE", f"DICOM file {number} has {allocated} bits a pixel.", "Export it in 16 bits.")
    if stored is None or not 1 <= stored <= allocated or sign not in (0, 1) or high not in (None, stored - 1):
        what = "BitsStored, HighBit or PixelRepresentation"
        raise InputRefused("E_TAG", f"{what} of DICOM file {number} is missing or wrong.", EXPORT_AGAIN)
    syntax = word([header.file_meta], "TransferSyntaxUID")
    pixels = Pixels(value, syntax, shape, frames, allocated, stored, sign == 1)
    if value.length is None:
        _require_codec(syntax, number)
    elif syntax not in NATIVE:
        raise InputRefused(
            "E_CODEC", f"The pixels of DICOM file {number} are not compressed as announced.", UNCOMPRESSED
        )
    else:
        _require_length(pixels, value.length, number)
    return pixels


def _require_length(pixels: Pixels, length: int, number: int) -> None:
    """Require the bytes of Rows x Columns x frames, announced and in the file; padding is less than a row."""
    needed = pixels.frame_bytes * pixels.frames
    held = length if pixels.value.available is None else min(length, pixels.value.available)
    if held < needed:
        raise InputRefused(
            "E_TRUNCATED", f"DICOM file {number} holds {held} of {needed} bytes of pixels.", EXPORT_AGAIN
        )
    if length - needed >= pixels.shape[1] * pixels.allocated // 8:
        raise InputRefused("E_CORRUPT", f"DICOM file {number} holds more pixels than Rows x Columns.", EXPORT_AGAIN)


def _require_codec(syntax: str, number: int) -> None:
    from pydicom.pixels import get_decoder

    if syntax in NATIVE:
        raise InputRefused("E_CODEC", f"DICOM file {number} does not say how it is compressed.", UNCOMPRESSED)
    with refusing("E_CODEC", f"DICOM file {number} has an unknown transfer syntax", UNCOMPRESSED):
        is_available = get_decoder(syntax).is_available
    if not is_available:
        raise InputRefused("E_CODEC", f"No decoder is installed for the compression of DICOM file {number}.", CODECS)


def stored_planes(slices: Sequence[Slice]) -> Iterator[tuple[int, np.ndarray]]:
    """Each slice's place in the sequence and its stored numbers (rows, columns), which hold until the next comes.

    Raises E_TRUNCATED, E_CORRUPT.
    """
    by_file = _by_file(slices)
    # One buffer for all: it stays in the processor's cache, and no fresh memory has to be mapped for each slice.
    buffer = bytearray(max(pixels.frame_bytes for pixels, _ in by_file))
    for pixels, indices in by_file:
        number = slices[indices[0]].number
        compressed = _compressed(pixels, number)
        for index in indices:
            frame = slices[index].frame
            if compressed is None:
                plane = _native(pixels, frame, memoryview(buffer)[: pixels.frame_bytes], number)
            else:
                plane = _decoded(pixels, compressed[frame], number)
            yield index, _without_high_bits(plane, pixels)


def stored_digests(slices: Sequence[Slice]) -> list[bytes]:
    """What tells the frames of slices apart, equal for equal bytes in the file. Raises E_TRUNCATED, E_CORRUPT."""
    digests = [b""] * len(slices)
    for pixels, indices in _by_file(slices):
        number = slices[indices[0]].number
        compressed = _compressed(pixels, number)
        frame = bytearray(pixels.frame_bytes)
        for index in indices:
            if compressed is None:
                pixels.value.fill(memoryview(frame), slices[index].frame * pixels.frame_bytes)
            content = frame if compressed is None else compressed[slices[index].frame]
            digests[index] = hashlib.sha256(content).digest()
    return digests


def _by_file(slices: Sequence[Slice]) -> Iterable[tuple[Pixels, list[int]]]:
    """The places in the sequence of the slices of each file, so that a file is read and cut into frames once."""
    places: dict[Pixels, list[int]] = {}
    for index, one in enumerate(slices):
        assert one.pixels is not None
        places.setdefault(one.pixels, []).append(index)
    return places.items()


def _compressed(pixels: Pixels, number: int) -> list[bytes] | None:
    """The compressed frames of a file, None for pixels without compression."""
    return None if pixels.value.length is not None else frames_of(pixels.value.read(), pixels.frames, number)


def _native(pixels: Pixels, frame: int, buffer: memoryview, number: int) -> np.ndarray:
    if pixels.value.fill(buffer, frame * pixels.frame_bytes) < pixels.frame_bytes:
        raise InputRefused("E_TRUNCATED", f"DICOM file {number} ends within its pixels.", EXPORT_AGAIN)
    return np.frombuffer(buffer, dtype=pixels.dtype).reshape(pixels.shape)


def _decoded(pixels: Pixels, frame: bytes, number: int) -> np.ndarray:
    from pydicom.encaps import encapsulate
    from pydicom.pixels import get_decoder

    require_size(frame, pixels.syntax, pixels.shape, pixels.allocated // 8, number)
    options: dict[str, Any] = {
        "rows": pixels.shape[0],
        "columns": pixels.shape[1],
        "number_of_frames": 1,
        "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2",
        "bits_allocated": pixels.allocated,
        "bits_stored": pixels.stored,
        "pixel_representation": int(pixels.signed),
        "pixel_keyword": "PixelData",
    }
    with refusing("E_CORRUPT", f"The compressed pixels of DICOM file {number} are damaged"):
        plane, _ = get_decoder(pixels.syntax).as_array(encapsulate([frame]), raw=True, **options)
        return np.require(plane, requirements="W").reshape(pixels.shape)


def _without_high_bits(plane: np.ndarray, pixels: Pixels) -> np.ndarray:
    """Clear the bits above BitsStored, where old scanners keep overlays; signed values keep their sign."""
    spare = plane.dtype.itemsize * 8 - pixels.stored
    if spare <= 0:
        return plane
    if not pixels.signed:
        return np.bitwise_and(plane, plane.dtype.type((1 << pixels.stored) - 1), out=plane)
    return (plane << spare) >> spare
