"""Writing files so that a crash, a full disk or a second reader never meets half of one."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from vision.errors import ResourceError
from vision.io.files.lock import is_linked, try_lock

_ASIDE = re.compile(r"\.[0-9a-f]{16}\.part")
_FULL = (errno.ENOSPC, errno.EDQUOT)


def write_atomically(path: str | Path, write: Callable[[BinaryIO], object]) -> Path:
    """Have `write` fill a file beside `path`, flush it to the disk, and rename it into place.

    Missing folders are made; an existing file is replaced in one step; what killed processes left unfinished in the
    folder is removed. Returns the path.
    Raises ResourceError E_DISK (full) or E_OUTPUT (cannot be written); the unfinished file is removed.
    """
    target = Path(path)
    with writing():
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target.parent)
        aside, descriptor = _open_aside(target.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
                if os.name == "posix":
                    # Under the lock, so that nobody takes the file for a leftover.
                    aside.replace(target)
            if os.name != "posix":
                aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)
        flush_folder(target.parent)
    return target


def write_bytes(path: str | Path, content: bytes) -> Path:
    """Write bytes whole or not at all. Raises as `write_atomically`."""
    return write_atomically(path, lambda file: file.write(content))


def write_text(path: str | Path, text: str) -> Path:
    """Write text as UTF-8, whole or not at all. Raises as `write_atomically`."""
    return write_bytes(path, text.encode("utf-8"))


@contextmanager
def writing() -> Iterator[None]:
    """Turn an OSError of what is written inside into ResourceError E_DISK (full) or E_OUTPUT (cannot be written)."""
    try:
        yield
    except OSError as error:
        raise output_error(error) from error


def output_error(error: OSError) -> ResourceError:
    """What a person is told when the system would not write; no path."""
    if error.errno in _FULL:
        return ResourceError("E_DISK", "The disk is full.", "Free space or choose another folder.")
    return ResourceError(
        "E_OUTPUT", f"The output cannot be written ({error.strerror}).", "Choose a folder that may be written to."
    )


def remove_leftovers(folder: Path) -> None:
    """Remove the unfinished files that killed processes left in a folder; what is being written is locked and stays."""
    with os.scandir(folder) as entries:
        left = [Path(entry) for entry in entries if _ASIDE.fullmatch(entry.name) and entry.is_file()]
    for path in left:
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDWR)
            try:
                if try_lock(descriptor):
                    path.unlink()
            finally:
                os.close(descriptor)


def flush_folder(folder: Path) -> None:
    """Make renames and removals in a folder durable, where the system lets folders be opened."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_aside(folder: Path) -> tuple[Path, int]:
    """A new hidden file, locked for as long as it is open."""
    while True:
        # The final name is not part of it, so that names near the system's limit still work.
        aside = folder / f".{secrets.token_hex(8)}.part"
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        # Another process may take it for a leftover before it is locked.
        if try_lock(descriptor) is not False and is_linked(descriptor, aside):
            return aside, descriptor
        os.close(descriptor)
