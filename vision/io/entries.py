"""The files of a folder or of a zip archive, as things that can be opened; an archive is never written to disk."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from vision.errors import InputRefused
from vision.io.refusal import EXPORT_AGAIN, Limits, refusing

ZIP_END = b"PK\x05\x06"
ZIP_END_SEARCH = 66_000
DIRECTORY_BYTES = 16 << 20
SMALL_ARCHIVE = 200 << 20
ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini", "DICOMDIR")


@dataclass(frozen=True)
class Entry:
    """One file: its base name for telling kinds apart (never shown), its place in the sorted list, how to read it."""

    name: str
    number: int
    stream: Callable[[], BinaryIO]
    """Opens it for reading once, front to back, inflating no more than is read."""
    open: Callable[[], BinaryIO]
    """Opens it for reading anywhere."""

    def start(self, count: int = 400) -> bytes:
        """The first bytes."""
        with refusing("E_CORRUPT", f"File {self.number} cannot be read"), self.stream() as file:
            return file.read(count)


def require_readable(path: Path) -> os.stat_result:
    """Stat a path that is a regular file or a folder. Raises E_NOT_FOUND, E_PERM, E_NOT_REGULAR."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise InputRefused("E_NOT_FOUND", "There is no such file or folder.", "Check the path.") from None
    except PermissionError:
        raise _no_permission() from None
    except (OSError, ValueError):
        raise InputRefused("E_NOT_FOUND", "This is no usable path.", "Check the path.") from None
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise InputRefused("E_NOT_REGULAR", "This is a device, pipe or socket.", "Give a regular file or a folder.")
    if not os.access(path, os.R_OK):
        raise _no_permission()
    return status


def folder_entries(folder: Path, limits: Limits) -> list[Entry]:
    """The regular files below a folder, sorted by path. Links that leave the folder, and junk, are left out.

    Raises E_SIZE for more files than the limit.
    """
    root = folder.resolve()
    paths = []
    for parent, folders, names in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if name not in JUNK)
        for name in names:
            path = Path(parent) / name
            if name in JUNK or name.startswith("._") or not path.resolve().is_relative_to(root) or not path.is_file():
                continue
            paths.append(path)
        if len(paths) > limits.files:
            raise InputRefused("E_SIZE", f"The folder holds more than {limits.files} files.", "Give one study.")
    return [file_entry(path, number) for number, path in enumerate(sorted(paths), start=1)]


def file_entry(path: Path, number: int = 1) -> Entry:
    """A regular file as an entry."""

    def opened() -> BinaryIO:
        return path.open("rb")

    return Entry(path.name, number, opened, opened)


def zip_entries(path: Path, limits: Limits) -> list[Entry]:
    """The files of a zip archive, sorted by name, each inflated in memory when opened.

    Raises InputRefused: E_ARCHIVE_COUNT, E_ARCHIVE_PATH, E_ARCHIVE_ENCRYPTED, E_ARCHIVE_NESTED, E_ARCHIVE_SIZE,
    E_CORRUPT.
    """
    _check_directory(path, limits)
    with refusing("E_CORRUPT", "The zip archive is damaged"):
        archive = zipfile.ZipFile(path)
    members = sorted((member for member in archive.infolist() if not member.is_dir()), key=lambda m: m.filename)
    if len({member.filename for member in members}) < len(members):
        raise InputRefused("E_ARCHIVE_PATH", "The archive holds the same name twice.", "Pack the folder again.")
    for member in members:
        _check_member(member)
    inflated, packed = sum(m.file_size for m in members), sum(m.compress_size for m in members)
    if inflated > limits.bytes or (inflated > SMALL_ARCHIVE and inflated > limits.archive_ratio * max(1, packed)):
        raise InputRefused(
            "E_ARCHIVE_SIZE", f"The archive unpacks to {inflated / 2**30:.1f} GiB.", "Pack one series of one study."
        )
    kept = [m for m in members if not set(PurePosixPath(m.filename).parts) & set(JUNK)]
    plain = [m for m in kept if not PurePosixPath(m.filename).name.startswith("._")]
    return [_zip_entry(archive, member, number) for number, member in enumerate(plain, start=1)]


def _zip_entry(archive: zipfile.ZipFile, member: zipfile.ZipInfo, number: int) -> Entry:
    def streamed() -> BinaryIO:
        return cast(BinaryIO, archive.open(member))

    return Entry(PurePosixPath(member.filename).name, number, streamed, lambda: _inflate(archive, member))


def _inflate(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> BinaryIO:
    """One member in memory; never more than it declares, checksum verified."""
    with refusing("E_CORRUPT", "A file of the archive is damaged"), archive.open(member) as file:
        content = file.read(member.file_size + 1)
        if len(content) != member.file_size:
            raise InputRefused("E_CORRUPT", "A file of the archive has another size than declared.", EXPORT_AGAIN)
        return io.BytesIO(content)


def _check_directory(path: Path, limits: Limits) -> None:
    """Judge the count of entries from the end record, before the directory is parsed."""
    with refusing("E_CORRUPT", "The zip archive cannot be read"), path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - ZIP_END_SEARCH))
        tail = file.read()
    at = tail.rfind(ZIP_END)
    if at < 0 or len(tail) < at + 22:
        raise InputRefused("E_TRUNCATED", "The zip archive has no end: it is incomplete.", EXPORT_AGAIN)
    count = int.from_bytes(tail[at + 10 : at + 12], "little")
    directory = int.from_bytes(tail[at + 12 : at + 16], "little")
    if count > limits.files or directory > DIRECTORY_BYTES:
        raise InputRefused(
            "E_ARCHIVE_COUNT", f"The archive holds more than {limits.files} files.", "Pack one series of one study."
        )


def _check_member(member: zipfile.ZipInfo) -> None:
    # zipfile rewrites the name for this system; the original is what another program would follow.
    name = member.orig_filename.replace("\\", "/")
    if name.startswith("/") or ".." in name.split("/") or (len(name) > 1 and name[1] == ":") or "\0" in name:
        raise InputRefused("E_ARCHIVE_PATH", "The archive holds a path that leaves it.", "Pack the folder again.")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise InputRefused("E_ARCHIVE_PATH", "The archive holds a link.", "Pack the files themselves.")
    if member.flag_bits & 0x1:
        raise InputRefused("E_ARCHIVE_ENCRYPTED", "The archive is encrypted.", "Unpack it and give the folder.")
    if name.lower().endswith(ARCHIVES):
        raise InputRefused("E_ARCHIVE_NESTED", "The archive holds another archive.", "Unpack it and give the folder.")


def _no_permission() -> InputRefused:
    return InputRefused("E_PERM", "The file or folder may not be read.", "Change its permissions or copy it.")
