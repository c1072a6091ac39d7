"""Answer one question about many CTs: one folder each, tables over all, safe to kill and to resume."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.batch.cases import BatchCase, read_cases
from assistant.batch.marker import (
    Marker,
    fingerprint,
    put_in_place,
    read_marker,
    require_own_folder,
    unfinished_folder,
    write_marker,
)
from assistant.batch.tables import done_row, failed_row, results_text, summary_text
from assistant.records import INTENDED_USE, AnswerRecord
from assistant.report import report_html, report_markdown
from assistant.version import library_versions, software_version
from vision.errors import Cancelled, ResourceError, UsageError, UserError
from vision.io import write_text
from vision.models.registry import read_models
from vision.segmenter import Progress, Segmenter, no_progress

if TYPE_CHECKING:
    from assistant.answer import Answer

FORMATS = ("md", "html", "json")
FAILED_EXIT_CODE = 4


@dataclass(frozen=True)
class BatchResult:
    """How a batch, or one part of it, ended. `skipped` were finished by an earlier run."""

    out: Path
    done: int
    skipped: int
    failures: Mapping[str, str]
    """Case id -> error code."""

    @property
    def exit_code(self) -> int:
        """0, or 4 when some cases failed."""
        return FAILED_EXIT_CODE if self.failures else 0


@dataclass(frozen=True)
class _Setting:
    """What is the same for every case of a run."""

    out: Path
    segmenter: Segmenter
    formats: tuple[str, ...]

    def fingerprint(self, case: BatchCase) -> str:
        return fingerprint(case, segmenter=self.segmenter.name, formats=self.formats)

    def finished(self, case: BatchCase) -> Marker | None:
        """The marker of a case that was finished with these very settings."""
        marker = read_marker(self.out / case.case_id)
        return marker if marker and marker.fingerprint == self.fingerprint(case) else None


def run_batch(
    inputs: Sequence[str | Path],
    out: Path,
    *,
    question: str = "Generate a report.",
    resume: bool = False,
    num_parts: int = 1,
    part_id: int = 0,
    formats: Sequence[str] = FORMATS,
    segmenter: Segmenter | None = None,
    progress: Progress = no_progress,
) -> BatchResult:
    """Ask `question` of every case and write `<out>/<case_id>/`, results.jsonl, summary.csv and run.json.

    `inputs` as in `read_cases`. `resume` keeps the cases that an earlier run answered with the same question, model,
    software and files. Of `num_parts` machines number `part_id` (from 0) takes every num_parts-th case; each writes
    the tables anew over all that is finished, so the last one writes them whole.
    A case that cannot be answered becomes a row with its error code; the others go on. Raises UsageError for wrong
    arguments, WeightsError without a model, and Cancelled when `progress` does; nothing half-done stays.
    """
    _check(out, num_parts, part_id, formats)
    cases = read_cases(inputs, question=question)
    mine = cases[part_id::num_parts]
    for case in mine:
        require_own_folder(out / case.case_id)
    setting = _Setting(out, segmenter or _shipped_segmenter(), tuple(sorted(set(formats))))
    out.mkdir(parents=True, exist_ok=True)
    started, skipped = time.monotonic(), 0
    markers: dict[str, Marker] = {}
    for number, case in enumerate(mine):
        marker = setting.finished(case) if resume else None
        if marker is not None and not marker.failed:
            skipped += 1
        else:
            marker = _run_case(case, setting, _share_of(progress, number, len(mine), case.case_id))
        markers[case.case_id] = marker
        progress(case.case_id, (number + 1) / len(mine))
    _write_tables(cases, setting)
    failures = {name: str(marker.row["code"]) for name, marker in markers.items() if marker.failed}
    result = BatchResult(out, len(mine) - skipped - len(failures), skipped, failures)
    name = "run.json" if num_parts == 1 else f"run-part-{part_id}-of-{num_parts}.json"
    arguments = {"question": question, "resume": resume, "num_parts": num_parts, "part_id": part_id}
    run = _run_record(setting, arguments, result, markers, time.monotonic() - started)
    write_text(out / name, json.dumps(run, indent=1, ensure_ascii=False) + "\n")
    return result


def answer_case(case: BatchCase, segmenter: Segmenter, progress: Progress) -> Answer:
    """Open one case and ask it its question."""
    from assistant.api import open_ct

    conversation = open_ct(case.input, segmenter=segmenter, progress=progress)
    return conversation.ask(case.question, progress=progress)


def _check(out: Path, num_parts: int, part_id: int, formats: Sequence[str]) -> None:
    if num_parts < 1 or not 0 <= part_id < num_parts:
        raise UsageError(
            "E_PART",
            f"Part {part_id} of {num_parts} does not exist.",
            "Parts count from 0: --num-parts 4 goes with --part-id 0, 1, 2 or 3.",
        )
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise UsageError("E_FORMAT", f"There is no format {unknown[0]!r}.", f"Formats are {', '.join(FORMATS)}.")
    if out.exists() and not out.is_dir():
        raise UsageError("E_OUT", f"{out.name} is a file.", "Name a folder with --out.")


def _shipped_segmenter() -> Segmenter:
    from assistant.api import default_segmenter

    return default_segmenter()


def _share_of(progress: Progress, number: int, count: int, case_id: str) -> Progress:
    """Progress within one case as a share of the batch."""
    return lambda step, share: progress(f"{case_id}: {step}", (number + min(max(share, 0.0), 1.0)) / count)


def _run_case(case: BatchCase, setting: _Setting, progress: Progress) -> Marker:
    """Answer one case in a hidden folder and rename that into place once it is whole."""
    started = time.monotonic()
    part = unfinished_folder(setting.out / case.case_id)
    try:
        try:
            row = _answer_into(part, case, setting, progress)
        except Cancelled:
            raise
        except Exception as error:
            shutil.rmtree(part, ignore_errors=True)
            row = failed_row(case, _as_user_error(error))
        part.mkdir(exist_ok=True)
        marker = Marker(setting.fingerprint(case), row, round(time.monotonic() - started, 3))
        write_marker(marker, part)
        put_in_place(part, setting.out / case.case_id)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return marker


def _answer_into(part: Path, case: BatchCase, setting: _Setting, progress: Progress) -> dict[str, Any]:
    answer_case(case, setting.segmenter, progress).save(part)
    record = AnswerRecord.model_validate_json((part / "answer.json").read_text(encoding="utf-8"))
    if "md" in setting.formats:
        write_text(part / "report.md", report_markdown(record))
    if "html" in setting.formats:
        picture = part / "preview.png"
        preview = picture.read_bytes() if picture.is_file() else None
        write_text(part / "report.html", report_html(record, preview))
    return done_row(case, record)


def _as_user_error(error: Exception) -> UserError:
    """What a failed case is told with; an error of ours stops the batch under BODYMAPS_DEBUG."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, MemoryError):
        return ResourceError("E_MEMORY", "The memory did not suffice for this case.", "Free memory and use --resume.")
    if os.environ.get("BODYMAPS_DEBUG"):
        raise error
    return UserError(
        "E_UNEXPECTED",
        f"An unexpected {type(error).__name__} stopped this case.",
        "Run with BODYMAPS_DEBUG=1 for details.",
    )


def _write_tables(cases: Iterable[BatchCase], setting: _Setting) -> None:
    """Write both tables from the markers; once more when another part finished a case meanwhile."""
    everything = list(cases)
    rows: list[dict[str, Any]] | None = None
    while True:
        finished = [setting.finished(case) for case in everything]
        found = [marker.row for marker in finished if marker is not None]
        if found == rows:
            return
        rows = found
        write_text(setting.out / "results.jsonl", results_text(rows))
        write_text(setting.out / "summary.csv", summary_text(rows))


def _run_record(
    setting: _Setting,
    arguments: Mapping[str, Any],
    result: BatchResult,
    markers: Mapping[str, Marker],
    seconds: float,
) -> dict[str, Any]:
    """run.json: what ran, with what, for how long; no paths."""
    return {
        "intended_use": INTENDED_USE,
        "software": software_version(),
        "libraries": library_versions(),
        "segmenter": setting.segmenter.name,
        "models": {name: model.sha256 for name, model in read_models().items()},
        "arguments": {**arguments, "formats": setting.formats},
        "counts": {"done": result.done, "skipped": result.skipped, "failed": len(result.failures)},
        "failures": dict(result.failures),
        "seconds": {
            "total": round(seconds, 3),
            "cases": {name: marker.seconds for name, marker in markers.items()},
        },
    }
