"""Makers of files that are damaged, linked or no files at all."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.catalogue.make_nifti import file_of
from tests.catalogue.row import Maker
from tests.vision.small_files import nifti_bytes, nifti_gz


def damaged(at: int) -> Callable[[], bytes]:
    """A gzip file with one byte inverted."""

    def content() -> bytes:
        packed = bytearray(nifti_gz())
        packed[at if at < 0 else len(packed) // 2] ^= 0xFF
        return bytes(packed)

    return content


def extension_of(size: int) -> Maker:
    """A file with a header extension that announces `size` bytes where 32 are."""

    def content() -> bytes:
        plain = nifti_bytes(fields={"vox_offset": 384.0})
        return plain[:348] + b"\1\0\0\0" + struct.pack("<ii", size, 6) + b"\0" * 24 + plain[352:]

    return file_of(content)


def pair(folder: Path) -> Path:
    """A .hdr with its .img beside it."""
    content = nifti_bytes(fields={"magic": b"ni1", "vox_offset": 0.0})
    (folder / "ct.img").write_bytes(content[352:])
    return file_of(lambda: content[:348], "ct.hdr")(folder)


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "ct.nii.gz")
    return folder / "ct.nii.gz"


def unix_socket(folder: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as listening, pytest.MonkeyPatch.context() as patched:
        # A socket's path may have 108 bytes; the test's folder is longer.
        patched.chdir(folder)
        listening.bind("ct")
    return folder / "ct"


def linked(folder: Path) -> Path:
    """A link that a person names, to a file elsewhere."""
    (folder / "there").mkdir()
    (folder / "here").mkdir()
    link = folder / "here" / "ct.nii.gz"
    link.symlink_to(file_of(nifti_gz)(folder / "there"))
    return link


def endless_link(folder: Path) -> Path:
    (folder / "a").symlink_to(folder / "b")
    (folder / "b").symlink_to(folder / "a")
    return folder / "a"


def folder_with_a_link_out(folder: Path) -> Path:
    """A folder to be searched, whose only CT lies behind a link out of it; a second link turns in a circle."""
    inside = folder / "inside"
    inside.mkdir()
    (inside / "ct.nii.gz").symlink_to(file_of(nifti_gz)(folder))
    (inside / "up").symlink_to(folder)
    return inside
