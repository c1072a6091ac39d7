"""Where a batch works: one run for each part of an output folder; unfinished work is hidden, results come whole."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from vision.errors import ResourceError, UsageError
from vision.io.files.atomic import flush_folder, writing
from vision.io.files.lock import HIDDEN, drop_lock, is_linked, take_lock, try_lock

KEY = "key"
KEY_BYTES = 32
PATIENCE_SECONDS = 1.0
_LOCK = re.compile(r"part-(\d+)-of-(\d+)\.lock")


@dataclass(frozen=True)
class Place:
    """An output folder that one run works in. `<out>/.bodymaps/` holds everything that is no result."""

    out: Path
    work: Path
    """Empty at the start and removed at the end; a run that was killed leaves it to the next."""
    lock: Path
    descriptor: int

    def require_present(self) -> None:
        """Raise ResourceError when the output folder was removed, replaced or unplugged meanwhile."""
        if not is_linked(self.descriptor, self.lock):
            raise ResourceError(
                "E_OUTPUT", "The output folder is not there any more.", "Bring it back or choose another folder."
            )

    def unfinished(self) -> Path:
        """A new folder for the files of one case. Raises ResourceError when it cannot be made."""
        self.require_present()
        part = self.work / "case"
        with writing():
            if part.exists():
                shutil.rmtree(part)
            part.mkdir()
        return part

    def finish(self, part: Path, case_id: str) -> None:
        """Rename a case's finished folder to its place; an earlier result gives way. Raises ResourceError."""
        self.require_present()
        old, folder = self.work / "old", self.out / case_id
        with writing():
            flush_folder(part)
            if folder.exists():
                folder.rename(old)
            part.rename(folder)
            flush_folder(self.out)
            if old.exists():
                shutil.rmtree(old)

    def forget(self, names: tuple[str, ...]) -> None:
        """Remove tables that are about to be true no longer. Raises ResourceError."""
        with writing():
            for name in names:
                (self.out / name).unlink(missing_ok=True)
            flush_folder(self.out)

    def key(self) -> bytes:
        """The random key that case ids are made with: made once, the same for every part and every later run.

        Raises ResourceError when it cannot be kept, UsageError E_KEY when somebody changed it.
        """
        with writing():
            key = _made_key(self.out / HIDDEN / KEY, self.work)
        if len(key) != KEY_BYTES:
            raise UsageError(
                "E_KEY",
                f"The key of the case ids, {HIDDEN}/{KEY} in the output folder, is damaged.",
                "Remove it, and the cases get new ids; or name another folder.",
            )
        return key


@contextmanager
def open_place(out: Path, *, num_parts: int, part_id: int) -> Iterator[Place]:
    """Work in an output folder, made when it is missing, as its only run of this part; clear what killed runs left.

    Parts of one division may run at once; anything else may not. Raises UsageError E_OUT_BUSY when another run is at
    work there, ResourceError when the folder cannot be written to.
    """
    hidden = out / HIDDEN
    lock = hidden / f"part-{part_id}-of-{num_parts}.lock"
    with writing():
        out.mkdir(parents=True, exist_ok=True)
        descriptor = _take_patiently(lock)
    place = Place(out, _work_of(lock), lock, descriptor)
    try:
        with writing():
            for other in sorted(hidden.iterdir()):
                if other != lock and _LOCK.fullmatch(other.name):
                    _clear_after(other, num_parts)
            if place.work.exists():
                shutil.rmtree(place.work)
            place.work.mkdir()
        yield place
    finally:
        shutil.rmtree(place.work, ignore_errors=True)
        drop_lock(descriptor, lock)
        with suppress(OSError):
            hidden.rmdir()


def _take_patiently(lock: Path) -> int:
    """Take a lock, or raise UsageError when it stays taken: a run that starts elsewhere may hold it to clear it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        # Again in every round: a run that ends removes the folder when it is empty.
        lock.parent.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileNotFoundError):
            descriptor = take_lock(lock)
            if descriptor is not None:
                return descriptor
        time.sleep(PATIENCE_SECONDS / 20)
    raise _busy()


def _clear_after(lock: Path, num_parts: int) -> None:
    """Remove what a dead run of another part left. Raises UsageError for a live one that divides them otherwise."""
    named = _LOCK.fullmatch(lock.name)
    assert named is not None
    with suppress(FileNotFoundError):
        descriptor = os.open(lock, os.O_RDWR)
        try:
            free = try_lock(descriptor)
            if free and is_linked(descriptor, lock):
                shutil.rmtree(_work_of(lock), ignore_errors=True)
                lock.unlink()
            elif free is False and int(named[2]) != num_parts:
                raise _busy()
        finally:
            os.close(descriptor)


def _work_of(lock: Path) -> Path:
    return lock.with_suffix("")


def _busy() -> UsageError:
    return UsageError(
        "E_OUT_BUSY",
        "Another run is writing to this output folder.",
        "Wait for it or name another folder; runs at once need the same --num-parts and different --part-id.",
    )


def _made_key(path: Path, work: Path) -> bytes:
    """The key at `path`. Of several processes that make one, the first to link it wins and all read the same."""
    if not path.exists():
        aside = work / KEY
        aside.unlink(missing_ok=True)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(aside, path)
        except FileExistsError:
            pass
        except OSError:
            # A file system without hard links.
            aside.replace(path)
        aside.unlink(missing_ok=True)
        flush_folder(path.parent)
    return path.read_bytes()
