"""The folder of a running server: nobody else can read it, and it goes with the server or at the next one's start."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path

from vision.io.files.lock import take_lock

PREFIX = "bodymaps-chat-"
LOCK = "lock"


class Place:
    """A new private folder, held by a lock that dies with this process. What a killed server left is removed first.

    `close` removes the folder with all that is in it; so does the end of the process.
    """

    def __init__(self) -> None:
        sweep(Path(tempfile.gettempdir()))
        lock = None
        while lock is None:
            self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
            # Another server that starts just now takes a folder without a lock for one that was left.
            with suppress(OSError):
                lock = take_lock(self.folder / LOCK)
        self.close = weakref.finalize(self, _remove, self.folder, lock)


def sweep(inside: Path) -> None:
    """Remove the folders of this user's servers that are no more."""
    if sys.platform == "win32":  # there a lock cannot be told from none
        return
    for folder in inside.glob(f"{PREFIX}*"):
        with suppress(OSError):
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
                continue
            lock = take_lock(folder / LOCK)
            if lock is not None:
                _remove(folder, lock)


def _remove(folder: Path, lock: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)
