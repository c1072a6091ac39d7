"""Read a NIfTI file through the gate: stored voxels, their scaling and their grid."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from vision.errors import InputRefused
from vision.geometry import CTVolume, Grid, Notice
from vision.io.choices import Choices
from vision.io.header import NiftiHeader, read_header, require_body
from vision.io.hu import to_hu
from vision.io.judge import judged
from vision.io.refusal import EXPORT_AGAIN, Limits
from vision.io.stream import ByteStream, read_array

TAIL_BYTES = 4096


@dataclass(frozen=True, eq=False)
class StoredVolume:
    """Voxels (I, J, K) as the file stores them; a value is slope * voxel + intercept."""

    voxels: np.ndarray
    grid: Grid
    slope: float
    intercept: float
    notices: tuple[Notice, ...]


def read_nifti(file: BinaryIO, *, volume: int | None, limits: Limits) -> StoredVolume:
    """Read one 3D volume of an open NIfTI file, gzip or not, to its last byte.

    `volume` (from 0) chooses among several of a 4D file. Raises InputRefused with the codes of `read_header`,
    E_EMPTY, E_TRUNCATED, E_CORRUPT, E_SIZE, E_4D.
    """
    stream = ByteStream(file, limits.bytes)
    header = read_header(stream, limits)
    chosen = _choose(header.volumes, volume)
    _check_extensions(stream.read(header.offset - header.consumed))
    one = int(np.prod(header.grid.shape)) * header.dtype.itemsize
    stream.skip(chosen * one)
    voxels = read_array(stream, header.grid.shape, header.dtype)
    later = (header.volumes - 1 - chosen) * one
    if stream.skip(later) < later:
        raise InputRefused("E_TRUNCATED", "The file ends before its last volume.", EXPORT_AGAIN)
    return StoredVolume(voxels, header.grid, header.slope, header.intercept, _notices(stream, header))


def read_nifti_ct(file: BinaryIO, *, choices: Choices, limits: Limits) -> CTVolume:
    """Read an open NIfTI file as a CT in HU. Raises what `read_nifti`, `to_hu` and `check_hu` raise."""
    stored = read_nifti(file, volume=choices.volume, limits=limits)
    require_body(stored.grid)
    hu, notices = to_hu(stored.voxels, stored.slope, stored.intercept)
    return judged(hu, stored.grid, facts={"source": "nifti"}, notices=(*stored.notices, *notices))


def _choose(volumes: int, volume: int | None) -> int:
    choices = f"Choose one with --volume N, N from 0 to {volumes - 1}."
    if volume is None and volumes > 1:
        raise InputRefused("E_4D", f"The file holds {volumes} volumes.", choices)
    chosen = volume or 0
    if not 0 <= chosen < volumes:
        raise InputRefused("E_4D", f"There is no volume {chosen}.", choices)
    return chosen


def _check_extensions(block: bytes) -> None:
    """Walk the sizes of header extensions; their content is never read."""
    if len(block) < 4 or block[0] == 0:
        return
    at = 4
    while at + 8 <= len(block):
        sizes = [struct.unpack(order + "i", block[at : at + 4])[0] for order in "<>"]
        size = next((s for s in sizes if 8 <= s <= len(block) - at), None)
        if size is None:
            raise InputRefused("E_HDR", f"A header extension announces {sizes[0]} bytes.", EXPORT_AGAIN)
        at += size


def _notices(stream: ByteStream, header: NiftiHeader) -> tuple[Notice, ...]:
    notices = list(header.notices)
    # A plane or more after the last voxel means that the dimensions are wrong, not that somebody padded the file.
    i, j, _ = header.grid.shape
    tail = stream.finish(min(TAIL_BYTES, i * j * header.dtype.itemsize - 1))
    if tail or stream.trailing_garbage:
        notices.append(Notice("W_TRAILING_BYTES", "Bytes after the last voxel were ignored."))
    return tuple(notices)
