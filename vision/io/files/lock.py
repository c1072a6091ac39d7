"""Locks on files that die with their process: who is at work in a folder, and what a killed process left there."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

HIDDEN = ".bodymaps"
"""The folder inside an output folder where everything lies that is not a result: locks, unfinished work, a key."""


def try_lock(descriptor: int) -> bool | None:
    """Lock an open file: True when it is this process's until it is closed, False when it is another's.

    None where the operating system or the file system knows no such locks.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def take_lock(path: Path) -> int | None:
    """Open and lock a file, made when it is missing; returns its descriptor, None while another process holds it.

    Raises OSError when the file cannot be made.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        locked = try_lock(descriptor)
        # Whoever held it before may have removed it between the two calls: then it is nobody's any more.
        if locked is not False and is_linked(descriptor, path):
            return descriptor
        os.close(descriptor)
        if locked is False:
            return None


def drop_lock(descriptor: int, path: Path) -> None:
    """Remove a lock that this process holds."""
    with suppress(OSError):
        path.unlink()
    os.close(descriptor)


def is_linked(descriptor: int, path: Path) -> bool:
    """Whether a path still leads to this open file, which was neither removed nor replaced."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False
