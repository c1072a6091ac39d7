"""Putting an answer's files where an earlier one's lie, so that a kill never leaves a mixture of both.

The new files are written into `<folder>/.bodymaps/answer/`. Then the old answer.json goes away, the old files go, the
new ones are renamed into place, and the new answer.json comes last. What a kill leaves half-way the next save settles.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vision.errors import ResourceError, UsageError
from vision.io.files.atomic import flush_folder, writing
from vision.io.files.lock import HIDDEN, drop_lock, take_lock

RECORD = "answer.json"
OF_REPORT = ("report.md",)
OF_MASKS = ("combined_labels.nii.gz", "combined_labels.json", "preview.png")

_MASK_FILE = re.compile(r"masks/[a-z0-9_]+\.nii\.gz")
_PREVIOUS = "previous.json"
_POLL_SECONDS = 0.05


def replace_answer(folder: Path, write: Callable[[Path], object]) -> None:
    """Have `write` fill an empty folder with an answer's files, and put them in `folder` for those of an earlier one.

    Other files of `folder` stay as they are. A save by another process is waited for.
    Raises UsageError E_OUT_OCCUPIED when a file would replace one that no answer wrote, ResourceError E_DISK when the
    disk is full; the earlier answer is whole then. ResourceError E_OUTPUT when the disk cannot be written to.
    """
    with _work_folder(folder) as work:
        _settle(folder, work)
        try:
            write(work / "new")
            _require_free(folder, work / "new")
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        try:
            with writing():
                _put_in_place(folder, work)
        except BaseException:
            with suppress(ResourceError):
                _settle(folder, work)
            raise


def files_of(record: Path) -> set[str] | None:
    """The files that an answer.json stands for, relative to its folder, without itself; None when it is no record."""
    try:
        values = json.loads(record.read_text(encoding="utf-8"))
        named = [finding["mask_file"] for finding in values["findings"]]
        has_report = values["report"] is not None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    # A record may come from anywhere: only names that an answer gives are ever removed.
    masks = {name for name in named if isinstance(name, str) and _MASK_FILE.fullmatch(name)}
    return masks | set(OF_MASKS if masks else ()) | set(OF_REPORT if has_report else ())


@contextmanager
def _work_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder that only this process is at work in."""
    hidden = folder / HIDDEN
    lock = hidden / "answer.lock"
    descriptor = None
    while descriptor is None:
        with writing():
            # Again in every round: who held the lock removes the folder with it.
            hidden.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                descriptor = take_lock(lock)
        if descriptor is None:
            time.sleep(_POLL_SECONDS)
    try:
        yield hidden / "answer"
    finally:
        drop_lock(descriptor, lock)
        with suppress(OSError):
            hidden.rmdir()


def _settle(folder: Path, work: Path) -> None:
    """Take away what a killed save left: files that no answer.json vouches for."""
    placing = work / "placing"
    with writing():
        if (placing / RECORD).is_file() and not (folder / RECORD).exists():
            for record in (placing / RECORD, placing / _PREVIOUS):
                _remove(folder, files_of(record) or set())
        if work.exists():
            shutil.rmtree(work)


def _require_free(folder: Path, new: Path) -> None:
    """Raise UsageError when a new file would replace one that no answer wrote."""
    own = files_of(folder / RECORD)
    replaceable = set() if own is None else {RECORD, *own}
    for name in sorted({RECORD, *(files_of(new / RECORD) or ())}):
        if name not in replaceable and (folder / name).exists():
            raise UsageError(
                "E_OUT_OCCUPIED",
                f"The output folder already holds a {name} that belongs to no answer.",
                "Name another folder with --out.",
            )


def _put_in_place(folder: Path, work: Path) -> None:
    placing, record = work / "placing", folder / RECORD
    # From this rename on, `_settle` knows that files of the new answer may lie in the folder.
    (work / "new").rename(placing)
    flush_folder(work)
    new = files_of(placing / RECORD) or set()
    if record.exists():
        record.rename(placing / _PREVIOUS)
        flush_folder(folder)
        _remove(folder, (files_of(placing / _PREVIOUS) or set()) - new)
    for name in sorted(new):
        (folder / name).parent.mkdir(exist_ok=True)
        (placing / name).replace(folder / name)
    for changed in {(folder / name).parent for name in new} | {folder}:
        flush_folder(changed)
    (placing / RECORD).replace(record)
    flush_folder(folder)
    shutil.rmtree(work)


def _remove(folder: Path, names: set[str]) -> None:
    """Remove files of an answer, and the folder of masks when none is left in it."""
    for name in names:
        (folder / name).unlink(missing_ok=True)
    if any(_MASK_FILE.fullmatch(name) for name in names):
        with suppress(OSError):
            (folder / "masks").rmdir()
