"""The files of a batch that hold times: run.json, what ran last and with what; timings.jsonl, a line for each case."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.records import INTENDED_USE
from assistant.version import library_versions, software_version
from vision.io import write_text
from vision.io.files.atomic import writing
from vision.models.registry import read_models

if TYPE_CHECKING:
    from assistant.batch.answering import Setting
    from assistant.batch.run import BatchResult


def run_file(part: tuple[int, int]) -> str:
    """run.json, or that of one part (number, of how many)."""
    return f"run{_of(part)}.json"


def timings_file(part: tuple[int, int]) -> str:
    """timings.jsonl, or that of one part (number, of how many)."""
    return f"timings{_of(part)}.jsonl"


def write_run_record(
    setting: Setting, part: tuple[int, int], arguments: Mapping[str, Any], result: BatchResult, seconds: float
) -> None:
    """Write what ran, with what, and for how long; no paths. Raises ResourceError."""
    record = {
        "intended_use": INTENDED_USE,
        "software": software_version(),
        "libraries": library_versions(),
        "segmenter": setting.segmenter.name,
        "planner": setting.planner_name,
        "models": {name: model.sha256 for name, model in read_models().items()},
        "arguments": {**arguments, "formats": setting.formats},
        "counts": {
            "done": result.done,
            "skipped": result.skipped,
            "failed": len(result.failures),
            "left": result.left,
        },
        "failures": dict(result.failures),
        "seconds": round(seconds, 3),
    }
    write_text(setting.place.out / run_file(part), json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def append_timing(path: Path, case_id: str, seconds: float) -> None:
    """Add the time that a case took; a line that does not fit on the disk is taken back. Raises ResourceError."""
    line = json.dumps({"case_id": case_id, "seconds": round(seconds, 3)}) + "\n"
    with writing():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            size = os.fstat(descriptor).st_size
            if os.write(descriptor, line.encode()) < len(line):
                os.ftruncate(descriptor, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)


def _of(part: tuple[int, int]) -> str:
    number, count = part
    return "" if count == 1 else f"-part-{number}-of-{count}"
