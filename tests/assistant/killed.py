"""Work that is killed: before its n-th change of the disk, in a forked process, by a signal that nobody can catch."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHANGES = frozenset({"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link"})
OPENS_TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def contents(folder: Path, *, without: frozenset[str] = frozenset()) -> dict[str, bytes]:
    """Every file below a folder by its relative name, hidden ones too, apart from those called one of `without`."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in without)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def killed_before(change: int, work: Callable[[], object]) -> bool:
    """Do the work in a fork of this process that is killed before its `change`-th change of the disk, from 1.

    Returns whether it came that far; otherwise the work was done. Fork only where there is one thread.
    """
    child = os.fork()
    if child == 0:
        _die_before(change)
        try:
            work()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return os.WIFSIGNALED(status)


def _die_before(change: int) -> None:
    left = change

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        changes = event in CHANGES or (event == "open" and bool(arguments[2] & OPENS_TO_WRITE))
        left -= changes
        if changes and left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
