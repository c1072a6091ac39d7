"""Files that visitors sent and that are not opened yet: under random names, each for its own visitor, not for long."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from assistant.serve.settings import ServerSettings
from vision.errors import InputRefused, ResourceError, UsageError

ACCEPTED = (".nii.gz", ".nii", ".zip")
LEFT_FREE_BYTES = 2**29
"""Room on the disk that uploads never take."""
FETCHED_WITHIN_SECONDS = 30 * 60.0
"""A file that was sent and not asked about for so long is removed."""


@dataclass(frozen=True)
class _Upload:
    visitor: str
    size: int
    since: float


class Uploads:
    """The uploads in one private folder. A name that `place` made says nothing but the kind of file."""

    def __init__(self, folder: Path, *, settings: ServerSettings, clock: Callable[[], float] = time.monotonic) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self._settings = settings
        self._clock = clock
        self._lying: dict[str, _Upload] = {}
        self._lock = threading.Lock()

    def place(self, ending: str, *, visitor: str, size: int) -> Path:
        """A place for a file of at most `size` bytes. Raises ResourceError E_UPLOADS, E_DISK when there is none."""
        with self._lock:
            own = [name for name, one in self._lying.items() if one.visitor == visitor]
            for name in own[: max(0, len(own) + 1 - self._settings.uploads_lying)]:
                self._remove(name)
            if sum(one.size for one in self._lying.values()) + size > self._settings.uploads_lying_bytes:
                raise ResourceError("E_UPLOADS", "Too many files are waiting to be opened.", "Try again in a minute.")
            if shutil.disk_usage(self.folder).free - size < LEFT_FREE_BYTES:
                raise ResourceError("E_DISK", "The disk has no room for this file.", "Make room, then send it again.")
            name = f"{secrets.token_hex(16)}{ending}"
            self._lying[name] = _Upload(visitor, size, self._clock())
            return self.folder / name

    def arrived(self, name: str) -> None:
        """The file is complete: it takes as much as it is long."""
        with self._lock:
            known = self._lying[name]
            self._lying[name] = _Upload(known.visitor, (self.folder / name).stat().st_size, self._clock())

    def discard(self, name: str) -> None:
        """Remove a file that nobody will open."""
        with self._lock:
            self._remove(name)

    def find(self, name: str, *, visitor: str) -> Path:
        """Where a visitor's own file lies. Raises UsageError E_UPLOAD_GONE for every other name."""
        with self._lock:
            known = self._lying.get(name)
        if known is None or known.visitor != visitor:
            raise UsageError("E_UPLOAD_GONE", "This file is not here any more.", "Choose it again.")
        return self.folder / name

    def take(self, name: str, into: Path, *, visitor: str) -> Path:
        """Move a visitor's own file into a folder and return where it is. Raises UsageError as `find`."""
        upload = self.find(name, visitor=visitor)
        with self._lock:
            self._lying.pop(name, None)
        return upload.rename(into / name)

    def sweep(self) -> None:
        """Remove what was not opened in time."""
        oldest = self._clock() - FETCHED_WITHIN_SECONDS
        with self._lock:
            for name in [name for name, one in self._lying.items() if one.since < oldest]:
                self._remove(name)

    def _remove(self, name: str) -> None:
        if self._lying.pop(name, None) is not None:
            (self.folder / name).unlink(missing_ok=True)


def ending_of(name: str) -> str:
    """The kind of file that a name stands for. Raises InputRefused E_FILE_TYPE for one that is no CT."""
    ending = next((ending for ending in ACCEPTED if name.lower().endswith(ending)), None)
    if ending is None:
        raise InputRefused(
            "E_FILE_TYPE",
            "This file is neither NIfTI nor a zip of DICOM.",
            "Choose a .nii, a .nii.gz, or a .zip of one DICOM series or study.",
        )
    return ending


def describe_upload(upload: Path) -> str:
    """What the chat says was sent: kind and size, not the name."""
    kind = "DICOM zip" if upload.name.endswith(".zip") else "NIfTI"
    return f"CT file ({kind}, {max(1, round(upload.stat().st_size / 1e6))} MB)"
