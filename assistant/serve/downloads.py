"""Files of an answer to take away: the record, the masks, a printable report."""

from __future__ import annotations

import secrets
import zipfile
from dataclasses import dataclass
from pathlib import Path

from assistant.answer import Answer
from assistant.report import report_html


@dataclass(frozen=True)
class Downloads:
    """Where the files lie; `masks` is a zip of everything that was saved."""

    record: Path
    masks: Path
    report: Path


def prepare_downloads(answer: Answer, folder: Path) -> Downloads:
    """Write an answer's files into a new folder inside `folder`."""
    place = folder / secrets.token_hex(8)
    saved = answer.save(place)
    preview = saved / "preview.png"
    picture = preview.read_bytes() if preview.exists() else None
    report = saved / "report.html"
    report.write_text(report_html(answer.record, picture), encoding="utf-8")
    archive = saved / "masks.zip"
    files = sorted(file for file in saved.rglob("*") if file.is_file())
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
        for file in files:
            packed.write(file, file.relative_to(saved))
    return Downloads(saved / "answer.json", archive, report)
