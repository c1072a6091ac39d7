"""Writing files so that a crash, a full disk or a second reader never meets half of one."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from vision.errors import ResourceError


def write_atomically(path: str | Path, write: Callable[[BinaryIO], object]) -> Path:
    """Have `write` fill a file beside `path`, flush it to the disk, and rename it into place.

    Missing folders are made; an existing file is replaced in one step. Returns the path.
    Raises ResourceError E_DISK (full) or E_OUTPUT (cannot be written); the unfinished file is removed.
    """
    target = Path(path)
    # The final name is not part of the temporary one, so that names near the system's limit still work.
    aside = target.parent / f".{secrets.token_hex(8)}.part"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with os.fdopen(descriptor, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)
        _flush_folder(target.parent)
    except OSError as error:
        raise _refused(error) from error
    return target


def write_bytes(path: str | Path, content: bytes) -> Path:
    """Write bytes whole or not at all. Raises as `write_atomically`."""
    return write_atomically(path, lambda file: file.write(content))


def write_text(path: str | Path, text: str) -> Path:
    """Write text as UTF-8, whole or not at all. Raises as `write_atomically`."""
    return write_bytes(path, text.encode("utf-8"))


def _flush_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system lets folders be opened."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refused(error: OSError) -> ResourceError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceError("E_DISK", "The disk is full; nothing was written.", "Free space or choose another folder.")
    return ResourceError(
        "E_OUTPUT", f"The output cannot be written ({error.strerror}).", "Choose a folder that may be written to."
    )
