"""Compressed frames before a decoder sees them: where each lies, and what size its own header claims."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from vision.errors import InputRefused
from vision.io.refusal import EXPORT_AGAIN

RLE = "1.2.840.10008.1.2.5"
JPEG_LIKE = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81))
MOST_TILES = 4096
"""Of a JPEG 2000 image; each costs the decoder memory, whatever is in it."""
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_START_OF_FRAME = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xDA)))
_SIZ = b"\xff\x4f\xff\x51"


def frames_of(value: memoryview, count: int, number: int) -> list[bytes]:
    """The `count` compressed frames of an encapsulated value (PS3.5 A.4), by its items and not by what they promise.

    Raises InputRefused: E_TRUNCATED where an item or the end is missing, E_CORRUPT for items that make no such frames.
    """
    items = list(_items(value, number))
    fragments = items[1:]
    if count == 1 and fragments:
        return [b"".join(value[start:stop] for start, stop in fragments)]
    if count == len(fragments):
        return [bytes(value[start:stop]) for start, stop in fragments]
    table = value[slice(*items[0])] if items else memoryview(b"")
    offsets = [int.from_bytes(table[at : at + 4], "little") for at in range(0, len(table) - 3, 4)]
    # Offsets count from the first fragment's item, whose own head takes 8 bytes.
    places = {start - 8 - items[0][1]: index for index, (start, _) in enumerate(fragments)}
    firsts = [places.get(offset, -1) for offset in offsets]
    if len(firsts) != count or firsts[:1] != [0] or any(a >= b for a, b in pairwise(firsts)):
        raise InputRefused(
            "E_CORRUPT", f"The compressed frames of DICOM file {number} cannot be told apart.", EXPORT_AGAIN
        )
    bounds = zip(firsts, [*firsts[1:], len(fragments)], strict=True)
    return [b"".join(value[start:stop] for start, stop in fragments[a:b]) for a, b in bounds]


def _items(value: memoryview, number: int) -> Iterator[tuple[int, int]]:
    """Start and stop of the content of each item, the offset table first."""
    at = 0
    while (tag := bytes(value[at : at + 4])) != _END:
        start = at + 8
        length = int.from_bytes(value[at + 4 : start], "little")
        if len(tag) < 4 or start + length > len(value):
            raise InputRefused(
                "E_TRUNCATED", f"The compressed pixels of DICOM file {number} end too early.", EXPORT_AGAIN
            )
        if tag != _ITEM:
            raise InputRefused("E_CORRUPT", f"The compressed pixels of DICOM file {number} are no items.", EXPORT_AGAIN)
        yield start, start + length
        at = start + length


def require_size(frame: bytes, syntax: str, shape: tuple[int, int], sample_bytes: int, number: int) -> None:
    """Refuse a frame whose codestream is of another size than Rows x Columns, before any of it is decoded: E_CORRUPT.

    A run-length frame states no size; how far it can expand is bounded by its own length, which is checked instead.
    """
    rows, columns = shape
    if len(frame) > 2 * rows * columns * sample_bytes + (1 << 16):
        raise _other_size(number, f"{len(frame)} bytes")
    if syntax == RLE:
        segments = int.from_bytes(frame[:4], "little")
        if segments != sample_bytes:
            raise _other_size(number, f"{segments} run-length segments")
        return
    found = jpeg_size(frame) if syntax in JPEG_LIKE else jpeg2000_size(frame)
    if found != shape:
        raise _other_size(number, "no readable size" if found is None else f"{found[0]} x {found[1]} pixels")


def jpeg_size(frame: bytes) -> tuple[int, int] | None:
    """(rows, columns) by the frame header of a JPEG or JPEG-LS codestream (ITU T.81 B.2.2).

    None where it has none, or more than one component.
    """
    at = 2 if frame[:2] == b"\xff\xd8" else len(frame)
    while at + 4 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in _WITHOUT_LENGTH:
            at += 2
            continue
        if marker in _START_OF_FRAME:
            header = frame[at + 4 : at + 10]
            if len(header) < 6 or header[5] != 1:
                return None
            return int.from_bytes(header[1:3]), int.from_bytes(header[3:5])
        at += 2 + int.from_bytes(frame[at + 2 : at + 4])
    return None


def jpeg2000_size(frame: bytes) -> tuple[int, int] | None:
    """(rows, columns) by the SIZ marker of a JPEG 2000 codestream (ITU T.800 A.5.1).

    None where it has none, more than one component, or more tiles than an image of that size has use for.
    """
    # Some writers wrap the codestream into the boxes of a .jp2 file.
    at = 0 if frame[:4] == _SIZ else frame.find(_SIZ, 0, 4096)
    header = frame[at + 8 : at + 42] if at >= 0 else b""
    if len(header) < 34:
        return None
    right, bottom, left, top, tile_width, tile_height, tile_left, tile_top = (
        int.from_bytes(header[n : n + 4]) for n in range(0, 32, 4)
    )
    if int.from_bytes(header[32:34]) != 1 or not tile_width or not tile_height:
        return None
    tiles = -(-(right - tile_left) // tile_width) * -(-(bottom - tile_top) // tile_height)
    return (bottom - top, right - left) if tiles <= MOST_TILES else None


def _other_size(number: int, found: str) -> InputRefused:
    return InputRefused(
        "E_CORRUPT", f"The compressed pixels of DICOM file {number} have another size: {found}.", EXPORT_AGAIN
    )
