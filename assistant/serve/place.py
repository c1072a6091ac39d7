"""The folder of a running server: nobody else can read it, and it goes with the server or at the next one's start."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from vision.io.files.lock import take_lock

PREFIX = "bodymaps-chat-"
LOCK = "lock"


class Place:
    """A new private folder, held by a lock that dies with this process. What a killed server left is removed first."""

    def __init__(self) -> None:
        sweep(Path(tempfile.gettempdir()))
        while True:
            self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
            # Another server that starts just now takes a folder without a lock for one that was left.
            with suppress(OSError):
                self._lock = take_lock(self.folder / LOCK)
                if self._lock is not None:
                    return

    def close(self) -> None:
        """Remove the folder and all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


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
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)
