"""The deflated transfer syntax (PS3.5 A.5): everything behind the file meta information is one raw deflate stream."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from vision.errors import InputRefused
from vision.io.refusal import EXPORT_AGAIN

DEFLATED = "1.2.840.10008.1.2.1.99"
CHUNK = 1 << 16
_MAGIC = b"DICM"
_LONG_LENGTHS = (b"OB", b"OW", b"SQ", b"UN", b"UT")


def deflated_from(head: bytes) -> int | None:
    """Where the deflate stream of a file with these first bytes begins; None when its syntax is another.

    Walks the file meta information (group 0002, always explicit little endian) as far as `head` goes.
    """
    if DEFLATED.encode() not in head:
        return None
    at = 132 if head[128:132] == _MAGIC else 0
    syntax = b""
    while head[at : at + 2] == b"\x02\0":
        long = head[at + 4 : at + 6] in _LONG_LENGTHS
        start = at + 12 if long else at + 8
        length = int.from_bytes(head[at + 8 : start] if long else head[at + 6 : start], "little")
        if head[at + 2 : at + 4] == b"\x10\0":
            syntax = head[start : start + length]
        at = start + length
    return at if syntax.rstrip(b"\0 ") == DEFLATED.encode() and at < len(head) else None


class Inflating:
    """Reads a raw deflate stream front to back, inflating no more than is asked for.

    `first` are bytes of it that were read before the rest of `file`. Raises InputRefused: E_CORRUPT, E_TRUNCATED.
    """

    def __init__(self, first: bytes, file: BinaryIO, number: int) -> None:
        self._packed = first
        self._file = file
        self._number = number
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)

    def read(self, count: int) -> bytes:
        """The next `count` bytes, fewer only at the end of the stream."""
        parts = []
        while count > 0 and not self._inflater.eof:
            packed = self._packed or self._file.read(CHUNK)
            try:
                part = self._inflater.decompress(packed, count)
            except zlib.error:
                raise InputRefused(
                    "E_CORRUPT", f"The deflated DICOM file {self._number} is damaged.", EXPORT_AGAIN
                ) from None
            if not packed and not part and not self._inflater.eof:
                raise InputRefused("E_TRUNCATED", f"The deflated DICOM file {self._number} is cut off.", EXPORT_AGAIN)
            self._packed = self._inflater.unconsumed_tail
            parts.append(part)
            count -= len(part)
        return b"".join(parts)
