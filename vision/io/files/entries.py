"""The files of a folder or of a zip archive, as things that can be opened; an archive is never written to disk."""

from __future__ import annotations

import io
import os
import stat
import sys
import weakref
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from vision.errors import InputRefused
from vision.io.refusal import EXPORT_AGAIN, Limits, refusing

ZIP_END, ZIP64_LOCATOR, ZIP64_END, ZIP_MEMBER = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06", b"PK\x01\x02"
ZIP_END_BYTES, ZIP64_LOCATOR_BYTES, ZIP64_END_BYTES = 22, 20, 56
LONGEST_COMMENT = 1 << 16
DIRECTORY_BYTES = 16 << 20
SMALL_ARCHIVE = 200 << 20
LARGEST_IN_MEMORY = 1100 << 20
"""Of one file that is read back and forth: an enhanced CT of as many voxels as a CT may have."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""The ones that zipfile inflates no further than asked; it gives out blocks of the others whole, however large."""
ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini", "DICOMDIR")
READING = os.O_RDONLY if sys.platform == "win32" else os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
"""Opening must not wait: a pipe may have taken the place of a file since it was looked at."""

Opening = Callable[[], AbstractContextManager[BinaryIO]]
Identity = tuple[int, int, int, int]


@dataclass(frozen=True)
class Entry:
    """One file: its base name for telling kinds apart (never shown), its place in the sorted list, how to read it.

    Whatever is opened is the file that was listed, unchanged until it is closed, or E_CHANGED is raised.
    """

    name: str
    number: int
    stream: Opening
    """Opens it for reading once, front to back, inflating no more than is read."""
    open: Opening
    """Opens it for reading anywhere."""

    def start(self, count: int = 400) -> bytes:
        """The first bytes."""
        with refusing("E_CORRUPT", f"File {self.number} cannot be read"), self.stream() as file:
            return file.read(count)


def require_readable(path: Path) -> os.stat_result:
    """Stat a path that is a regular file or a folder. Raises E_NOT_FOUND, E_PERM, E_NOT_REGULAR."""
    with _reachable():
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            os.scandir(path).close()
            return status
        # A device is not opened to be looked at: opening alone makes some of them act.
        _require_regular(status)
        with _opened(path) as file:
            return os.fstat(file.fileno())


def folder_entries(folder: Path, limits: Limits) -> list[Entry]:
    """The regular files below a folder, sorted by path. Links that leave the folder, and junk, are left out.

    Raises E_SIZE for more files than the limit, E_PERM for a folder that may not be listed.
    """
    root = folder.resolve()
    paths = []
    for parent, folders, names in os.walk(root, followlinks=False, onerror=_raise):
        folders[:] = sorted(name for name in folders if name not in JUNK)
        for name in names:
            path = Path(parent) / name
            leaves = path.is_symlink() and not path.resolve().is_relative_to(root)
            if name in JUNK or name.startswith("._") or leaves or not path.is_file():
                continue
            paths.append(path)
        if len(paths) > limits.files:
            raise InputRefused("E_SIZE", f"The folder holds more than {limits.files} files.", "Give one study.")
    return [file_entry(path, number) for number, path in enumerate(sorted(paths), start=1)]


def file_entry(path: Path, number: int = 1) -> Entry:
    """A regular file as an entry. Raises E_NOT_FOUND, E_PERM."""
    with _reachable():
        listed = _identity(path.stat())

    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        with _reachable():
            file = _opened(path)
        with file, _unchanged(file, listed):
            yield file

    return Entry(path.name, number, opened, opened)


def zip_entries(path: Path, limits: Limits) -> list[Entry]:
    """The files of a zip archive, sorted by name, each inflated in memory when opened.

    Raises InputRefused: E_ARCHIVE_COUNT, E_ARCHIVE_PATH, E_ARCHIVE_ENCRYPTED, E_ARCHIVE_METHOD, E_ARCHIVE_NESTED,
    E_ARCHIVE_SIZE, E_CORRUPT, E_TRUNCATED.
    """
    with _reachable():
        file = _opened(path)
    with ExitStack() as stack:
        stack.enter_context(file)
        listed = _identity(os.fstat(file.fileno()))
        count = _count_members(file, limits)
        with refusing("E_CORRUPT", "The zip archive is damaged"):
            archive = zipfile.ZipFile(file)
        # The entries read from the open archive for as long as one of them lives.
        weakref.finalize(archive, stack.pop_all().close)
    if len(archive.infolist()) != count:
        raise InputRefused("E_CORRUPT", "The zip archive announces another number of files.", EXPORT_AGAIN)
    members = sorted((member for member in archive.infolist() if not member.is_dir()), key=lambda m: m.filename)
    if len({member.filename for member in members}) < len(members):
        raise InputRefused("E_ARCHIVE_PATH", "The archive holds the same name twice.", "Pack the folder again.")
    for member in members:
        _check_member(member)
    inflated, packed = sum(m.file_size for m in members), sum(m.compress_size for m in members)
    if inflated > limits.bytes or (inflated > SMALL_ARCHIVE and inflated > limits.archive_ratio * max(1, packed)):
        raise _too_large(inflated)
    kept = [m for m in members if not set(PurePosixPath(m.filename).parts) & set(JUNK)]
    plain = [m for m in kept if not PurePosixPath(m.filename).name.startswith("._")]
    return [_zip_entry(archive, member, number, listed) for number, member in enumerate(plain, start=1)]


def _zip_entry(archive: zipfile.ZipFile, member: zipfile.ZipInfo, number: int, listed: Identity) -> Entry:
    @contextmanager
    def streamed() -> Iterator[BinaryIO]:
        assert archive.fp is not None
        with _unchanged(cast(BinaryIO, archive.fp), listed), archive.open(member) as file:
            yield cast(BinaryIO, file)
            # zipfile stops at the declared size and compares the checksum, but takes less than was declared.
            if not file.read(1) and file.tell() != member.file_size:
                raise InputRefused("E_CORRUPT", "A file of the archive has another size than declared.", EXPORT_AGAIN)

    @contextmanager
    def inflated() -> Iterator[BinaryIO]:
        if member.file_size > LARGEST_IN_MEMORY:
            raise _too_large(member.file_size)
        with refusing("E_CORRUPT", "A file of the archive is damaged"), streamed() as file:
            content = file.read(member.file_size)
        yield io.BytesIO(content)

    return Entry(PurePosixPath(member.filename).name, number, streamed, inflated)


def _count_members(file: BinaryIO, limits: Limits) -> int:
    """How many files the end record announces; judged, with the directory itself, before anything is parsed.

    zipfile reads a directory of the announced size that ends where the end records begin, and believes a zip64 record
    wherever one is.
    """
    with refusing("E_CORRUPT", "The zip archive cannot be read"):
        size = file.seek(0, io.SEEK_END)
        tail_start = max(0, size - ZIP_END_BYTES - LONGEST_COMMENT)
        file.seek(tail_start)
        tail = file.read()
    at = tail.rfind(ZIP_END)
    if at < 0 or len(tail) < at + ZIP_END_BYTES:
        raise InputRefused("E_TRUNCATED", "The zip archive has no end: it is incomplete.", EXPORT_AGAIN)
    count = int.from_bytes(tail[at + 10 : at + 12], "little")
    directory = int.from_bytes(tail[at + 12 : at + 16], "little")
    end = tail_start + at
    locator = tail[max(0, at - ZIP64_LOCATOR_BYTES) : at]
    if locator.startswith(ZIP64_LOCATOR):
        end -= ZIP64_LOCATOR_BYTES + ZIP64_END_BYTES
        file.seek(max(0, end))
        record = file.read(ZIP64_END_BYTES)
        if not record.startswith(ZIP64_END) or int.from_bytes(locator[8:16], "little") != end:
            raise InputRefused("E_CORRUPT", "The zip archive has a damaged end record.", EXPORT_AGAIN)
        count, directory = int.from_bytes(record[32:40], "little"), int.from_bytes(record[40:48], "little")
    if count <= limits.files and directory <= DIRECTORY_BYTES:
        file.seek(max(0, end - directory))
        if file.read(directory).count(ZIP_MEMBER) <= limits.files:
            return count
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
    if member.compress_type not in METHODS:
        raise InputRefused(
            "E_ARCHIVE_METHOD", "The archive is not packed by deflate.", "Unpack it and give the folder."
        )
    if name.lower().endswith(ARCHIVES):
        raise InputRefused("E_ARCHIVE_NESTED", "The archive holds another archive.", "Unpack it and give the folder.")


def _opened(path: Path) -> BinaryIO:
    """Open a regular file without ever waiting, judging the descriptor itself. Raises E_NOT_REGULAR, OSError."""
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | READING))  # noqa: SIM115
    try:
        _require_regular(os.fstat(file.fileno()))
    except InputRefused:
        file.close()
        raise
    return file


@contextmanager
def _unchanged(file: BinaryIO, listed: Identity) -> Iterator[None]:
    """Refuse a file that is another than was listed, or is written to while it is read: E_CHANGED."""
    _require_same(file, listed)
    try:
        yield
    finally:
        # Whatever else reading met, half of an old and half of a new file explains it.
        _require_same(file, listed)


def _require_same(file: BinaryIO, listed: Identity) -> None:
    if _identity(os.fstat(file.fileno())) != listed:
        raise InputRefused(
            "E_CHANGED", "The file changed while it was read.", "Wait until it is written, then open it again."
        ) from None


def _identity(status: os.stat_result) -> Identity:
    """Which file it is, and in which state."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise InputRefused("E_NOT_REGULAR", "This is a device, pipe or socket.", "Give a regular file or a folder.")


@contextmanager
def _reachable() -> Iterator[None]:
    """Turn what the system says of a path into a refusal."""
    try:
        yield
    except FileNotFoundError:
        raise InputRefused("E_NOT_FOUND", "There is no such file or folder.", "Check the path.") from None
    except PermissionError:
        raise InputRefused(
            "E_PERM", "The file or folder may not be read.", "Change its permissions or copy it."
        ) from None
    except (OSError, ValueError):
        raise InputRefused("E_NOT_FOUND", "This is no usable path.", "Check the path.") from None


def _raise(error: OSError) -> None:
    with _reachable():
        raise error


def _too_large(inflated: int) -> InputRefused:
    return InputRefused(
        "E_ARCHIVE_SIZE", f"The archive unpacks to {inflated / 2**30:.1f} GiB.", "Pack one series of one study."
    )
