"""Files that visitors sent and that are not opened yet: under random names, each for its own visitor, not for long."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
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
    """`size` is in bytes: while it arrives those that were promised, then those of the file."""

    visitor: str
    size: int
    since: float
    arriving: bool


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
        """A place for a file of at most `size` bytes, held until it `arrived` or is discarded.

        Of the visitor's own files that arrived the oldest go for it. Raises ResourceError E_UPLOADS, E_DISK when there
        is no place.
        """
        with self._lock:
            own = [name for name, one in self._lying.items() if one.visitor == visitor]
            arrived = [name for name in own if not self._lying[name].arriving]
            for name in arrived[: max(0, len(own) + 1 - self._settings.uploads_lying)]:
                self._remove(name)
            if sum(one.size for one in self._lying.values()) + size > self._settings.uploads_lying_bytes:
                raise ResourceError("E_UPLOADS", "Too many files are waiting to be opened.", "Try again in a minute.")
            to_come = sum(self._to_come(name) for name in self._lying)
            if shutil.disk_usage(self.folder).free - to_come - size < LEFT_FREE_BYTES:
                raise ResourceError("E_DISK", "The disk has no room for this file.", "Make room, then send it again.")
            name = f"{secrets.token_hex(16)}{ending}"
            self._lying[name] = _Upload(visitor, size, self._clock(), arriving=True)
            return self.folder / name

    def arrived(self, name: str) -> None:
        """The file is complete: it takes as much as it is long."""
        with self._lock:
            known = self._lying[name]
            size = (self.folder / name).stat().st_size
            self._lying[name] = _Upload(known.visitor, size, self._clock(), arriving=False)

    def is_busy(self, visitor: str) -> bool:
        """Whether a visitor is sending as many files as may lie here."""
        with self._lock:
            arriving = [one for one in self._lying.values() if one.visitor == visitor and one.arriving]
        return len(arriving) >= self._settings.uploads_lying

    def discard(self, name: str) -> None:
        """Remove a file that nobody will open."""
        with self._lock:
            self._remove(name)

    def find(self, name: str, *, visitor: str) -> Path:
        """Where a visitor's own file lies. Raises UsageError E_UPLOAD_GONE for every other name."""
        with self._lock:
            known = self._lying.get(name)
        if known is None or known.arriving or known.visitor != visitor:
            raise _gone()
        return self.folder / name

    def take(self, name: str, into: Path, *, visitor: str) -> Path:
        """Move a visitor's own file into a folder and return where it is. Raises UsageError as `find`."""
        upload = self.find(name, visitor=visitor)
        with self._lock:
            try:
                taken = upload.rename(into / name)
            except FileNotFoundError:  # the visitor left meanwhile
                raise _gone() from None
            self._lying.pop(name, None)
        return taken

    def leave(self, visitor: str) -> None:
        """Remove what a visitor sent and did not open; what still arrives ends with its connection."""
        with self._lock:
            for name in [name for name, one in self._lying.items() if one.visitor == visitor and not one.arriving]:
                self._remove(name)

    def sweep(self) -> None:
        """Remove what was not opened in time."""
        oldest = self._clock() - FETCHED_WITHIN_SECONDS
        with self._lock:
            for name in [name for name, one in self._lying.items() if one.since < oldest and not one.arriving]:
                self._remove(name)

    def _to_come(self, name: str) -> int:
        """The bytes of a file that are promised and not on the disk yet."""
        if not self._lying[name].arriving:
            return 0
        written = 0
        with suppress(FileNotFoundError):
            written = (self.folder / name).stat().st_size
        return max(0, self._lying[name].size - written)

    def _remove(self, name: str) -> None:
        if self._lying.pop(name, None) is not None:
            (self.folder / name).unlink(missing_ok=True)


def _gone() -> UsageError:
    return UsageError("E_UPLOAD_GONE", "This file is not here any more.", "Choose it again.")


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
