"""An upload as it streams in: its own name ends here, its bytes go to a file under a random one."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive

from assistant.serve.guard.refusal import Refused, slow_down
from assistant.serve.uploads import Uploads, ending_of
from vision.errors import InputRefused, ResourceError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

STALLED_SECONDS = 60.0
SLOWEST_BYTES_A_SECOND = 4096
"""A file that comes more slowly, on the average and but for the first minute, holds its place too long."""
ENVELOPE_BYTES = 64 * 1024
"""Boundaries and headers around the file."""
BUSY_SECONDS = 10.0
"""When to come again while others of one's files are arriving."""


async def receive_upload(
    receive: Receive, *, content_type: str, length: int | None, most: int, uploads: Uploads, visitor: str
) -> str:
    """Store the one file of a multipart body and return its new name. Whatever goes wrong, nothing of it stays.

    Raises Refused: 413 for a file over `most` bytes, as soon as that shows; 415 for one that is no CT by its name; 400
    for another body; 408 when nothing arrives for a minute, or next to nothing; 429 while the visitor sends as many as
    may lie; 507 when there is no room.
    """
    if length is not None and length > most + ENVELOPE_BYTES:
        raise _too_large(most)
    parts = _Parts(uploads, visitor, most=most, expected=min(most, length or most))
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise _no_file()
    parser = MultipartParser(options[b"boundary"], parts.callbacks())
    try:
        ended, arrived, began = False, 0, time.monotonic()
        while not ended:
            async with asyncio.timeout(STALLED_SECONDS):
                message = await receive()
            if message["type"] == "http.disconnect":
                raise _no_file()
            arrived += len(message.get("body", b""))
            if arrived > most + ENVELOPE_BYTES:
                raise _too_large(most)
            if time.monotonic() - began > STALLED_SECONDS + arrived / SLOWEST_BYTES_A_SECOND:
                raise TimeoutError
            parser.write(message.get("body", b""))
            await run_in_threadpool(parts.write)
            ended = not message.get("more_body", False)
        if not parts.complete:
            raise _no_file()
        return await run_in_threadpool(parts.finish)
    except TimeoutError:
        raise Refused(408, "E_UPLOAD", "The file stopped arriving.", "Send it again.") from None
    except MultipartParseError:
        raise _no_file() from None
    except OSError:
        raise Refused(507, "E_DISK", "The disk has no room for this file.", "Make room, then send it again.") from None
    finally:
        parts.close()


@dataclass
class _Parts:
    """The parts of a body while they are parsed: exactly one, a file."""

    uploads: Uploads
    visitor: str
    most: int
    expected: int
    complete: bool = False
    _header: list[bytes] = field(default_factory=lambda: [b"", b""])
    _disposition: bytes = b""
    _chunks: list[bytes] = field(default_factory=list)
    _size: int = 0
    _path: Path | None = None
    _file: BinaryIO | None = None
    _kept: bool = False

    def callbacks(self) -> MultipartCallbacks:
        """What the parser calls."""
        return {
            "on_header_field": lambda data, start, end: self._more(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._more(1, data[start:end]),
            "on_header_end": self._header_ends,
            "on_headers_finished": self._begin,
            "on_part_data": lambda data, start, end: self._data(data[start:end]),
            "on_end": self._end,
        }

    def write(self) -> None:
        """Write what has arrived; on a thread, because a disk may be slow."""
        if self._file is not None:
            for chunk in self._chunks:
                self._file.write(chunk)
        self._chunks.clear()

    def finish(self) -> str:
        """Close the file and hand it over."""
        assert self._file is not None
        assert self._path is not None
        self._file.close()
        self.uploads.arrived(self._path.name)
        self._kept = True
        return self._path.name

    def close(self) -> None:
        """Remove what was not handed over."""
        if self._file is not None:
            self._file.close()
        if self._path is not None and not self._kept:
            self.uploads.discard(self._path.name)

    def _more(self, which: int, data: bytes) -> None:
        self._header[which] += data

    def _header_ends(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            self._disposition = value
        self._header = [b"", b""]

    def _begin(self) -> None:
        _, options = parse_options_header(self._disposition)
        if self._path is not None or b"filename" not in options:
            raise _no_file()
        if self.uploads.is_busy(self.visitor):
            raise slow_down(BUSY_SECONDS)
        try:
            ending = ending_of(options[b"filename"].decode("utf-8", "replace"))
            self._path = self.uploads.place(ending, visitor=self.visitor, size=self.expected)
        except InputRefused as error:
            raise Refused(415, error.code, error.what, error.remedy) from None
        except ResourceError as error:
            raise Refused(507, error.code, error.what, error.remedy) from None
        self._file = self._path.open("xb")

    def _data(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self.most:
            raise _too_large(self.most)
        self._chunks.append(data)

    def _end(self) -> None:
        self.complete = self._path is not None


def _too_large(most: int) -> Refused:
    what = f"The file is larger than {most / 2**30:g} GiB."
    return Refused(413, "E_UPLOAD_SIZE", what, "Crop the CT to the abdomen, or compress it.")


def _no_file() -> Refused:
    return Refused(400, "E_UPLOAD", "The request holds no file.", "Choose the file again.")
