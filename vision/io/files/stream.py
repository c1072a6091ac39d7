"""Reading bytes under a cap, through gzip when the content says so, and to the end so that checksums count."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from vision.errors import InputRefused
from vision.io.refusal import EXPORT_AGAIN

CHUNK = 1 << 18
GZIP_MAGIC = b"\x1f\x8b"
SUSPICIOUS_BYTES = 64 << 20
MOST_MEMBERS = 1 << 16
"""Of one gzip stream: as many as 4 GiB have in blocks of 64 KiB, the smallest that a packer makes."""


class ByteStream:
    """Decompressed bytes of a file, in order, never more than `limit`.

    Several gzip members in a row count as one stream, as gzip itself has it. `trailing_garbage` tells, once the end
    was reached, whether bytes that belong to no member follow the last one. With `most_ratio`, a stream of more than
    64 MiB that gzip made so many times smaller is a bomb.
    Raises InputRefused: E_EMPTY, E_TRUNCATED, E_CORRUPT, E_SIZE.
    """

    def __init__(self, file: BinaryIO, limit: int, *, most_ratio: float = float("inf")) -> None:
        self._file = file
        self._limit = limit
        self._most_ratio = most_ratio
        self._count = 0
        self._packed = 0
        self.trailing_garbage = False
        first = self._next_chunk()
        if not first:
            raise InputRefused("E_EMPTY", "The file has no bytes.", EXPORT_AGAIN)
        self._blocks = self._inflate(first) if first.startswith(GZIP_MAGIC) else self._plain(first)
        self._rest = memoryview(b"")

    def read(self, count: int) -> bytes:
        """The next `count` bytes, fewer only at the end."""
        buffer = bytearray(count)
        return bytes(buffer[: self.fill(memoryview(buffer))])

    def fill(self, target: memoryview) -> int:
        """Copy the next bytes into `target`; how many there were."""
        done = 0
        while done < len(target):
            if not self._rest:
                self._rest = memoryview(next(self._blocks, b""))
                if not self._rest:
                    break
            part = self._rest[: len(target) - done]
            target[done : done + len(part)] = part
            self._rest = self._rest[len(part) :]
            done += len(part)
        return done

    def skip(self, count: int) -> int:
        """Read and forget `count` bytes; how many there were."""
        left = count
        while left > 0:
            step = len(self.read(min(left, CHUNK)))
            if step == 0:
                break
            left -= step
        return count - left

    def finish(self, most: int) -> int:
        """Read to the end, so that every checksum is verified, and count the bytes; above `most` is refused."""
        count = len(self._rest)
        self._rest = memoryview(b"")
        while count <= most:
            block = next(self._blocks, b"")
            if not block:
                return count
            count += len(block)
        raise InputRefused("E_SIZE", f"More than {most} bytes follow the last voxel.", EXPORT_AGAIN)

    def _next_chunk(self) -> bytes:
        chunk = self._file.read(CHUNK)
        self._packed += len(chunk)
        return chunk

    def _counted(self, block: bytes) -> bytes:
        self._count += len(block)
        if self._count > self._limit:
            size = self._limit / 2**30
            raise InputRefused(
                "E_SIZE", f"The content is larger than the limit of {size:.3g} GiB.", "Crop or split the CT."
            )
        if self._count > max(SUSPICIOUS_BYTES, self._most_ratio * self._packed):
            raise InputRefused(
                "E_SIZE",
                f"The gzip stream unpacks to more than {self._most_ratio:.0f} times its size, as no CT does.",
                "Check that this is the CT; a synthetic one opens as .nii.",
            )
        return block

    def _plain(self, block: bytes) -> Iterator[bytes]:
        while block:
            yield self._counted(block)
            block = self._next_chunk()

    def _inflate(self, block: bytes) -> Iterator[bytes]:
        member, members = zlib.decompressobj(wbits=31), 1
        while True:
            try:
                inflated = member.decompress(block, 4 * CHUNK)
            except zlib.error:
                raise InputRefused(
                    "E_CORRUPT", "The gzip stream is damaged: its checksum or code does not fit.", EXPORT_AGAIN
                ) from None
            if inflated:
                yield self._counted(inflated)
            if member.eof:
                following = member.unused_data or self._next_chunk()
                if not following.startswith(GZIP_MAGIC):
                    self.trailing_garbage = bool(following.strip(b"\0"))
                    return
                member, block, members = zlib.decompressobj(wbits=31), following, members + 1
                if members > MOST_MEMBERS:
                    raise InputRefused(
                        "E_SIZE", f"The gzip stream has more than {MOST_MEMBERS} members.", "Pack the file again."
                    )
                continue
            block = member.unconsumed_tail or self._next_chunk()
            if not block and not inflated:
                raise InputRefused("E_TRUNCATED", "The gzip stream ends before its last byte.", EXPORT_AGAIN)


def read_array(stream: ByteStream, shape: tuple[int, int, int], dtype: np.dtype) -> np.ndarray:
    """Read an array in Fortran order, as NIfTI stores it, in the machine's byte order.

    Numbers of 8 bytes become float32 on the way, so that no volume of them is ever held. Raises E_TRUNCATED.
    """
    kept = np.dtype(np.float32) if dtype.itemsize == 8 else dtype
    voxels = np.empty(shape, dtype=kept, order="F")
    flat = voxels.reshape(-1, order="F")
    step = CHUNK if kept is not dtype else max(1, flat.size)
    for start in range(0, flat.size, step):
        part = flat[start : start + step]
        if kept is dtype:
            _fill(stream, part)
            continue
        read = np.empty(part.size, dtype=dtype)
        _fill(stream, read)
        with np.errstate(over="ignore", invalid="ignore"):
            part[:] = read
    if not kept.isnative:
        flat = flat.byteswap(inplace=True).view(kept.newbyteorder("="))
    return flat.reshape(shape, order="F")


def _fill(stream: ByteStream, part: np.ndarray) -> None:
    got = stream.fill(part.view(np.uint8).data)
    if got < part.nbytes:
        raise InputRefused("E_TRUNCATED", f"{part.nbytes - got} bytes of voxels or more are missing.", EXPORT_AGAIN)
