"""Makers of files that unpack to far more than they are, each written in a moment."""

from __future__ import annotations

import gzip
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

from tests.catalogue.row import Maker
from tests.vision.small_files import nifti_bytes

MIB = 1 << 20
GZIP_START = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


def packed_zeros(start: bytes, mebibytes: int) -> bytes:
    """A gzip stream of `start` and zeros. Its checksum is wrong: nobody should come so far."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    first = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return GZIP_START + first + block * mebibytes + packer.flush(zlib.Z_FINISH) + bytes(8)


def bomb(folder: Path) -> Path:
    """4 GiB of zeros behind a whole small volume, in 4 MB."""
    path = folder / "ct.nii.gz"
    path.write_bytes(packed_zeros(nifti_bytes(), 4096))
    return path


def members_bomb(folder: Path) -> Path:
    """The same as 4096 gzip members."""
    path = folder / "ct.nii.gz"
    path.write_bytes(gzip.compress(nifti_bytes()) + gzip.compress(bytes(MIB)) * 4096)
    return path


def empty_members(folder: Path) -> Path:
    """A million gzip members without content."""
    path = folder / "ct.nii.gz"
    path.write_bytes(gzip.compress(b"") * 1_000_000)
    return path


def claiming_bomb(slices: int) -> Maker:
    """A maker of zeros whose header announces as many: 512 x 512 x `slices` of int16."""

    def make(folder: Path) -> Path:
        fields = {"dim": [3, 512, 512, slices, 1, 1, 1, 1]}
        header = nifti_bytes(affine=np.diag([0.8, 0.8, 1.0, 1.0]), fields=fields)[:352]
        path = folder / "ct.nii.gz"
        path.write_bytes(packed_zeros(header, slices // 2))
        return path

    return make


def sparse(folder: Path) -> Path:
    """2 GiB behind a small volume, without gzip; the disk holds none of it."""
    path = folder / "ct.nii"
    path.write_bytes(nifti_bytes())
    os.truncate(path, 2 << 30)
    return path


def zip_bomb(folder: Path) -> Path:
    """300 MiB of zeros in 300 kB."""
    path = folder / "ct.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("ct.nii", "w") as member:
        member.write(nifti_bytes())
        for _ in range(300):
            member.write(bytes(MIB))
    return path


def lying_zip_bomb(folder: Path) -> Path:
    """The same, declaring the size of the small volume alone."""
    path = zip_bomb(folder)
    content = bytearray(path.read_bytes())
    entry = content.rfind(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = len(nifti_bytes()).to_bytes(4, "little")
    path.write_bytes(bytes(content))
    return path


def bzip2_bomb(folder: Path) -> Path:
    """300 MiB of zeros in half a kilobyte, by the other method that a zip knows."""
    path = folder / "ct.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive, archive.open("ct.nii", "w") as member:
        member.write(nifti_bytes())
        for _ in range(150):
            member.write(bytes(MIB))
    return path


def gzip_bomb_in_zip(folder: Path) -> Path:
    """A gzip bomb that is small to a zip archive."""
    content = bomb(folder).read_bytes()
    path = folder / "ct.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ct.nii.gz", content)
    return path
