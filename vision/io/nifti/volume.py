"""Read a NIfTI file through the gate: stored voxels, their scaling and their grid."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from vision.errors import InputRefused
from vision.geometry import CTVolume, Grid, Notice
from vision.io.choices import Choices
from vision.io.files.stream import ByteStream, read_array
from vision.io.hu import to_hu, without_offset
from vision.io.judge import judged
from vision.io.nifti.header import NiftiHeader, read_header, require_body
from vision.io.refusal import EXPORT_AGAIN, Limits
from vision.io.upright import put_upright

TAIL_BYTES = 4096


@dataclass(frozen=True, eq=False)
class StoredVolume:
    """Voxels (I, J, K) as the file stores them; a value is slope * voxel + intercept.

    They lie on `grid`, or on the affine `sheared` (4, 4) and are to be resampled to it.
    """

    voxels: np.ndarray
    grid: Grid
    sheared: np.ndarray | None
    slope: float
    intercept: float
    notices: tuple[Notice, ...]


def read_nifti(stream: ByteStream, *, choices: Choices, limits: Limits) -> StoredVolume:
    """Read one 3D volume of a NIfTI file, gzip or not, to its last byte.

    `choices.volume` (from 0) chooses among several of a 4D file. Raises InputRefused with the codes of `read_header`,
    E_EMPTY, E_TRUNCATED, E_CORRUPT, E_SIZE, E_4D.
    """
    header = read_header(stream, limits, choices)
    chosen = _choose(header.volumes, choices.volume)
    extended = _check_extensions(stream.read(header.offset - header.consumed))
    one = int(np.prod(header.shape)) * header.dtype.itemsize
    stream.skip(chosen * one)
    voxels = read_array(stream, header.shape, header.dtype)
    later = (header.volumes - 1 - chosen) * one
    if stream.skip(later) < later:
        raise InputRefused("E_TRUNCATED", "The file ends before its last volume.", EXPORT_AGAIN)
    notices = (*header.notices, *extended, *_tail_notices(stream, header))
    return StoredVolume(voxels, header.grid, header.sheared, header.slope, header.intercept, notices)


def read_nifti_ct(file: BinaryIO, *, choices: Choices, limits: Limits) -> CTVolume:
    """Read an open NIfTI file as a CT in HU. Raises what `read_nifti`, `to_hu` and `check_hu` raise."""
    stream = ByteStream(file, limits.bytes, most_ratio=limits.gzip_ratio)
    stored = read_nifti(stream, choices=choices, limits=limits)
    require_body(stored.grid)
    hu, notices = to_hu(stored.voxels, stored.slope, stored.intercept)
    if choices.fix_offset:
        hu, fixed = without_offset(hu)
        notices += fixed
    if stored.sheared is not None:
        hu = put_upright(hu, stored.sheared, stored.grid)
    return judged(hu, stored.grid, facts={"source": "nifti"}, notices=(*stored.notices, *notices))


def _choose(volumes: int, volume: int | None) -> int:
    choices = f"Choose one with --volume N, N from 0 to {volumes - 1}."
    if volume is None and volumes > 1:
        raise InputRefused("E_4D", f"The file holds {volumes} volumes.", choices)
    chosen = volume or 0
    if not 0 <= chosen < volumes:
        raise InputRefused("E_4D", f"There is no volume {chosen}.", choices)
    return chosen


def _check_extensions(block: bytes) -> list[Notice]:
    """Walk the sizes of header extensions; their content is never read."""
    odd = [Notice("W_HEADER_ODD", "The mark of header extensions is none: the header may be damaged.")]
    announced, at = block[:1] not in (b"", b"\0"), 4
    if not announced or len(block) == at:
        return odd if block[:4].strip(b"\0") else []
    while at + 8 <= len(block):
        sizes = [struct.unpack(order + "i", block[at : at + 4])[0] for order in "<>"]
        size = next((s for s in sizes if 8 <= s <= len(block) - at), None)
        if size is None:
            raise InputRefused("E_HDR", f"A header extension announces {sizes[0]} bytes.", EXPORT_AGAIN)
        at += size
    return []


def _tail_notices(stream: ByteStream, header: NiftiHeader) -> list[Notice]:
    # A row of voxels or more after the last one means wrong dimensions, not that somebody padded the file.
    i, j, k = header.shape
    tail = stream.finish(min(TAIL_BYTES, min(i * j, i * k, j * k) * header.dtype.itemsize - 1))
    if tail or stream.trailing_garbage:
        return [Notice("W_TRAILING_BYTES", "Bytes after the last voxel were ignored.")]
    return []
