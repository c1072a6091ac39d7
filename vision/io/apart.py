"""Reading untrusted files in a child process: a parser that hangs, crashes or eats memory takes nobody along.

The child (`vision.io.child`) gets a JSON request on its standard input and answers JSON on its standard output; the
voxels come back in anonymous memory that both share. Nothing is pickled, and nothing of the CT touches a disk.
"""

from __future__ import annotations

import json
import mmap
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

import vision
from vision.errors import InputRefused, ResourceError, UsageError
from vision.geometry import CTVolume, Grid, Notice
from vision.io.choices import Choices
from vision.io.dicom.series import SeriesInfo
from vision.io.refusal import EXPORT_AGAIN, Limits
from vision.segmenter import Progress

SUPPORTED = os.name == "posix"
"""Elsewhere descriptors cannot be handed to a child, and files are read in the program itself."""

POLL_SECONDS = 0.1
LONGEST_REPLY = 4 << 20
ENDS_WITHIN_SECONDS = 2.0
"""After its last word."""
SOURCES = Path(vision.__file__).parents[1]
ERRORS = {error.__name__: error for error in (InputRefused, ResourceError, UsageError)}


def load_apart(path: Path, *, choices: Choices, limits: Limits, progress: Progress) -> CTVolume:
    """`read_ct` in a child process. Raises what it raises, ResourceError E_MEMORY, E_TIMEOUT, InputRefused E_CRASH."""
    with _shared_memory() as shared:
        reply = _ask_child({"task": "ct", "choices": asdict(choices)}, path, shared, limits, progress)
        grid = Grid(tuple(reply["shape"]), np.array(reply["affine"]))
        dtype = np.dtype(reply["dtype"])
        size = int(np.prod(grid.shape)) * dtype.itemsize
        # The mapping lives as long as the array that looks into it.
        voxels = np.ndarray(grid.shape, dtype, mmap.mmap(shared.fileno(), size, access=mmap.ACCESS_READ), order="F")
    notices = tuple(Notice(code, text) for code, text in reply["warnings"])
    return CTVolume(voxels, grid, reply["facts"], notices)


def inventory_apart(path: Path, *, limits: Limits, progress: Progress) -> list[SeriesInfo]:
    """`read_inventory` in a child process. Raises as `load_apart`."""
    with _shared_memory() as shared:
        reply = _ask_child({"task": "inventory", "choices": {}}, path, shared, limits, progress)
    return [series_info(row) for row in reply["series"]]


def series_info(values: Mapping[str, Any]) -> SeriesInfo:
    """A row of the inventory from its JSON values."""
    pairs = {name: tuple(values[name]) for name in ("shape", "spacing_mm") if values[name] is not None}
    return SeriesInfo(**{**values, **pairs})


def _ask_child(
    task: dict[str, Any], path: Path, shared: IO[bytes], limits: Limits, progress: Progress
) -> dict[str, Any]:
    request = json.dumps({**task, "path": str(path), "limits": asdict(limits)}).encode()
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(SOURCES), os.environ.get("PYTHONPATH")))),
    }
    # -P: a module that lies in the folder where a person happens to work is never imported.
    command = [sys.executable, "-P", "-m", "vision.io.child", str(shared.fileno())]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=(shared.fileno(),),
        env=environment,
    ) as child:
        try:
            answer = _talk(child, request, limits, progress)
        finally:
            child.kill()
    return _judged(answer, child.returncode)


def _talk(child: subprocess.Popen[bytes], request: bytes, limits: Limits, progress: Progress) -> bytes:
    """Send the request and collect the answer; `progress` is called all the while and may raise."""
    assert child.stdin is not None
    assert child.stdout is not None
    deadline = time.monotonic() + limits.seconds
    try:
        child.stdin.write(request)
        child.stdin.close()
    except BrokenPipeError:
        return b""
    answer = b""
    while len(answer) <= LONGEST_REPLY:
        progress("opening the CT", 0.0)
        if time.monotonic() > deadline:
            raise ResourceError(
                "E_TIMEOUT", f"Reading the file took longer than {limits.seconds:.0f} s.", "Crop it to the abdomen."
            )
        if _speaks(child.stdout):
            part = os.read(child.stdout.fileno(), 1 << 16)
            if not part:
                break
            answer += part
    else:
        raise InputRefused("E_CRASH", "The file made its reader talk without end.", EXPORT_AGAIN)
    with suppress(subprocess.TimeoutExpired):
        child.wait(ENDS_WITHIN_SECONDS)
    return answer


def _speaks(stream: IO[bytes]) -> bool:
    """Whether something can be read within a moment."""
    # select.select knows no descriptor above 1023; a server with many connections has some.
    with selectors.DefaultSelector() as ready:
        ready.register(stream, selectors.EVENT_READ)
        return bool(ready.select(POLL_SECONDS))


def _judged(answer: bytes, status: int) -> dict[str, Any]:
    """The child's answer, or the error that it told or that its end tells."""
    try:
        reply = json.loads(answer)
    except ValueError:
        raise _crashed(status) from None
    if "error" in reply:
        raise ERRORS[reply["error"]](reply["code"], reply["what"], reply["remedy"])
    return dict(reply)


def _crashed(status: int) -> Exception:
    if status == -9:
        return ResourceError("E_MEMORY", "The CT needs more memory than there is.", "Crop it to the abdomen.")
    return InputRefused("E_CRASH", f"The file made its reader stop (status {status}).", EXPORT_AGAIN)


@contextmanager
def _shared_memory() -> Iterator[IO[bytes]]:
    """A file without a name, in memory where the system can."""
    if sys.platform == "linux":
        with open(os.memfd_create("ct"), "r+b") as file:
            yield file
    else:
        with tempfile.TemporaryFile() as file:
            yield file
