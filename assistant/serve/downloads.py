"""Files of an answer to take away: the record, the masks, a printable report."""

from __future__ import annotations

import secrets
import shutil
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from assistant.answer import Answer
from assistant.report import report_html

FILES: Mapping[str, str] = MappingProxyType(
    {"answer.json": "Answer (JSON)", "masks.zip": "Masks (zip)", "report.html": "Report (HTML)"}
)
"""File name -> what its button says. The zip holds everything that was saved."""


class Takeaway:
    """The files of one answer, in a random folder of their own inside `folder`, written when the first is asked for."""

    def __init__(self, answer: Answer, folder: Path) -> None:
        self._answer = answer
        self._folder = folder / secrets.token_hex(16)
        self._closed = False
        self._lock = threading.Lock()

    def file(self, name: str) -> Path | None:
        """Where one of `FILES` lies, None once it is closed. Raises ResourceError E_DISK or E_OUTPUT."""
        with self._lock:
            if self._closed:
                return None
            if not (self._folder / "masks.zip").exists():
                self._write()
            return self._folder / name

    def close(self) -> None:
        """Remove the files, also those that are being written now, and write none any more."""
        with self._lock:
            self._closed = True
            shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self) -> None:
        saved = self._answer.save(self._folder)
        preview = saved / "preview.png"
        picture = preview.read_bytes() if preview.exists() else None
        (saved / "report.html").write_text(report_html(self._answer.record, picture), encoding="utf-8")
        files = sorted(file for file in saved.rglob("*") if file.is_file())
        part = saved / "masks.zip.part"
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as packed:
            for file in files:
                packed.write(file, file.relative_to(saved))
        part.rename(saved / "masks.zip")
