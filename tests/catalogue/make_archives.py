"""Makers of zip archives, good and bad, some of which no program packs."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.catalogue.row import Maker
from tests.vision.small_files import dicom_slices, nifti_bytes, write_series

DIRECTORY = b"PK\x01\x02"
SIZE, COUNT_IN_END = 24, 10
"""Where an entry of the directory declares its size, and the end record the number of entries."""


def zip_of(fill: Callable[[zipfile.ZipFile], object], method: int = zipfile.ZIP_DEFLATED) -> Maker:
    """A maker that writes a zip archive."""

    def make(folder: Path) -> Path:
        path = folder / "ct.zip"
        with zipfile.ZipFile(path, "w", method) as archive:
            fill(archive)
        return path

    return make


def holding(name: str, content: Callable[[], bytes] = nifti_bytes) -> Maker:
    """An archive of one file."""
    return zip_of(lambda archive: archive.writestr(name, content()))


def changed(make: Maker, change: Callable[[bytearray], object]) -> Maker:
    """A maker whose archive has bytes that no program writes."""

    def made(folder: Path) -> Path:
        path = make(folder)
        content = bytearray(path.read_bytes())
        change(content)
        path.write_bytes(bytes(content))
        return path

    return made


def link(archive: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("ct.nii.gz")
    entry.external_attr = 0o120777 << 16
    archive.writestr(entry, "/etc/passwd")


def twice(archive: zipfile.ZipFile) -> None:
    archive.writestr("ct.nii", nifti_bytes())
    with pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("ct.nii", b"another")


def series(archive: zipfile.ZipFile) -> None:
    for number, one in enumerate(dicom_slices()):
        folder = Path(archive.filename or "").parent / f"slice {number}"
        archive.write(next(write_series(folder, [one]).iterdir()), f"DOE JANE/{number:03d}")


def series_with_junk(archive: zipfile.ZipFile) -> None:
    series(archive)
    junk = (
        "DOE JANE/.DS_Store",
        "README.txt",
        "DOE JANE/Thumbs.db",
        "__MACOSX/DOE JANE/._000",
        "DICOMDIR",
        "desktop.ini",
    )
    for name in junk:
        archive.writestr(name, b"\0\1junk" * 60)


def declare(difference: int) -> Callable[[bytearray], None]:
    """Let the first entry of the directory declare another size than it has."""

    def change(content: bytearray) -> None:
        at = content.find(DIRECTORY) + SIZE
        size = int.from_bytes(content[at : at + 4], "little") + difference
        content[at : at + 4] = size.to_bytes(4, "little")

    return change


def encrypt(content: bytearray) -> None:
    content[content.rfind(DIRECTORY) + 8] |= 1


def spoil(content: bytearray) -> None:
    """One byte of a stored file is another."""
    content[3000] ^= 0xFF


def announce(count: int) -> Callable[[bytearray], None]:
    """Let the end record announce another number of files."""

    def change(content: bytearray) -> None:
        at = content.rfind(b"PK\x05\x06") + COUNT_IN_END
        content[at : at + 2] = count.to_bytes(2, "little")

    return change


def entries(count: int, *, announced: int | None = None, zip64: bool = False) -> bytes:
    """An archive of that many empty files, quickly; the end may announce another number."""
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, 0, 0, 6, 0)
    packed = struct.pack("<4s6H3I5H2I", DIRECTORY, 20, 20, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0)
    step = len(local) + 6
    files, directory = bytearray(), bytearray()
    for number in range(count):
        name = b"%06d" % number
        files += local + name
        directory += packed[:-4] + struct.pack("<I", number * step) + name
    told = count if announced is None else announced
    end = b""
    if zip64:
        end = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, told, told, len(directory), len(files))
        end += struct.pack("<4sIQI", b"PK\6\7", 0, len(files) + len(directory), 1)
    most = min(told, 0xFFFF)
    end += struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, most, most, len(directory), len(files), 0)
    return bytes(files + directory + end)


def good_zip64(folder: Path) -> Path:
    """A CT in an archive whose end record is the one of large archives."""
    path = holding("ct.nii")(folder)
    content = path.read_bytes()
    at = content.rfind(b"PK\5\6")
    count, size, start = struct.unpack("<HII", content[at + 10 : at + 20])
    record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
    path.write_bytes(content[:at] + record + struct.pack("<4sIQI", b"PK\6\7", 0, at, 1) + content[at:])
    return path
