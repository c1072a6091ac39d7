"""Answer one question about many CTs: one folder each, tables over all, safe to kill and to resume."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.batch.answering import OUTPUT_CODES, Setting, run_case
from assistant.batch.cases import BatchCase, FoundCT, find_cts, name_cases, opaque_name, own_name
from assistant.batch.marker import Marker, require_own_folder
from assistant.batch.place import Place, open_place
from assistant.batch.run_record import append_timing, run_file, timings_file, write_run_record
from assistant.batch.tables import results_text, summary_text
from assistant.plan import Planner
from assistant.records import readable
from vision.errors import ResourceError, UsageError
from vision.io import ASK, Choices, write_text
from vision.segmenter import Progress, Segmenter, no_progress

FORMATS = ("md", "html", "json")
FAILED_EXIT_CODE = 4
RESULTS, SUMMARY = "results.jsonl", "summary.csv"


@dataclass(frozen=True)
class BatchResult:
    """How a batch, or one part of it, ended. `skipped` were finished by an earlier run."""

    out: Path
    done: int
    skipped: int
    failures: Mapping[str, str]
    """Case id -> error code."""
    left: int = 0
    """Cases that were not begun because `max_failures` had failed."""
    opaque: bool = False
    """Whether cases have ids that tell nothing of their files."""

    @property
    def exit_code(self) -> int:
        """0, or 4 when some cases failed."""
        return FAILED_EXIT_CODE if self.failures else 0


def run_batch(
    inputs: Sequence[str | Path],
    out: Path,
    *,
    question: str = "Generate a report.",
    resume: bool = False,
    num_parts: int = 1,
    part_id: int = 0,
    formats: Sequence[str] = FORMATS,
    case_names: bool = False,
    max_failures: int | None = None,
    timeout_s: float | None = None,
    choices: Choices = ASK,
    segmenter: Segmenter | None = None,
    planner: Planner | None = None,
    progress: Progress = no_progress,
) -> BatchResult:
    """Ask `question` of every case and write `<out>/<case_id>/`, results.jsonl, summary.csv, run.json, timings.jsonl.

    `inputs` as in `find_cts`. A case is called as its manifest has it, after its file with `case_names`, else by an
    opaque id that later runs and other parts find again. `resume` keeps the cases that an earlier run answered with
    the same question, models, software, choices and files; what failed is tried again. Of `num_parts` machines number
    `part_id` (from 0) takes every num_parts-th case; each writes the tables anew over all that is finished, so the
    last one writes them whole. Killed at any moment and resumed, a batch leaves the same bytes in every file but
    run.json and timings.jsonl. The tables are gone while a run is under way.

    A case that cannot be answered, or takes longer than `timeout_s`, becomes a row with its error code; the others go
    on, until `max_failures` have failed. Raises UsageError for wrong arguments or a folder that another run writes to,
    WeightsError without a model, ResourceError E_DISK or E_OUTPUT when results cannot be written, and Cancelled when
    `progress` does; nothing half-done stays, and what was finished does.
    """
    check_part(num_parts, part_id)
    _check(out, formats, max_failures, timeout_s)
    asked = readable(question)
    found = find_cts(inputs, question=asked, out=out)
    segmenter, planner = segmenter or _shipped_segmenter(), planner or _default_planner()
    with open_place(out, num_parts=num_parts, part_id=part_id) as place:
        cases = name_cases(found, own_name) if case_names else _opaque_cases(found, place)
        mine = cases[part_id::num_parts]
        for case in mine:
            require_own_folder(out / case.case_id)
        setting = Setting(place, segmenter, planner, planner.name, tuple(sorted(set(formats))), choices, timeout_s)
        started = time.monotonic()
        part = (part_id, num_parts)
        try:
            markers, skipped = _run_cases(mine, setting, part, resume, max_failures, progress)
            _write_tables(cases, setting)
            failures = {name: str(marker.row["code"]) for name, marker in markers.items() if marker.failed}
            result = BatchResult(
                out=out,
                done=len(markers) - skipped - len(failures),
                skipped=skipped,
                failures=failures,
                left=len(mine) - len(markers),
                opaque=not case_names and any(ct.case_id is None for ct in found),
            )
            arguments = {"question": asked, "resume": resume, "num_parts": num_parts, "part_id": part_id}
            write_run_record(setting, part, arguments, result, time.monotonic() - started)
        except ResourceError as error:
            if error.code not in OUTPUT_CODES:
                raise
            remedy = f"{error.remedy} What was finished stays; go on with --resume."
            raise ResourceError(error.code, error.what, remedy) from error
    return result


def check_part(num_parts: int, part_id: int) -> None:
    """Raise UsageError for a part that does not exist."""
    if num_parts < 1 or not 0 <= part_id < num_parts:
        raise UsageError(
            "E_PART",
            f"Part {part_id} of {num_parts} does not exist.",
            "Parts count from 0: --num-parts 4 goes with --part-id 0, 1, 2 or 3.",
        )


def _check(out: Path, formats: Sequence[str], max_failures: int | None, timeout_s: float | None) -> None:
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise UsageError("E_FORMAT", f"There is no format {unknown[0]!r}.", f"Formats are {', '.join(FORMATS)}.")
    if out.exists() and not out.is_dir():
        raise UsageError("E_OUT", "The output is a file.", "Name a folder with --out.")
    if max_failures is not None and max_failures < 1:
        raise UsageError("E_LIMIT", f"A batch cannot end after {max_failures} failures.", "Give 1 or more.")
    if timeout_s is not None and not timeout_s > 0:
        raise UsageError("E_LIMIT", f"No case ends in {timeout_s:g} s.", "Give more than 0 seconds.")


def _shipped_segmenter() -> Segmenter:
    from assistant.api import default_segmenter

    return default_segmenter()


def _default_planner() -> Planner:
    from assistant.api import default_planner

    return default_planner()


def _opaque_cases(found: Sequence[FoundCT], place: Place) -> list[BatchCase]:
    key = place.key() if any(ct.case_id is None for ct in found) else b""
    return name_cases(found, lambda path: opaque_name(path, key))


def _run_cases(
    mine: Sequence[BatchCase],
    setting: Setting,
    part: tuple[int, int],
    resume: bool,
    max_failures: int | None,
    progress: Progress,
) -> tuple[dict[str, Marker], int]:
    """The markers of this part's cases by case id, and how many of them an earlier run had made."""
    markers: dict[str, Marker] = {}
    skipped = failed = 0
    for number, case in enumerate(mine):
        if max_failures is not None and failed >= max_failures:
            break
        marker = setting.finished(case) if resume else None
        if marker is not None and not marker.failed:
            skipped += 1
        else:
            if len(markers) == skipped:
                # The first that is answered: from here on the tables of an earlier run are not true any more.
                setting.place.forget((RESULTS, SUMMARY, run_file(part)))
            started = time.monotonic()
            marker = run_case(case, setting, _share_of(progress, number, len(mine), case.case_id))
            failed += marker.failed
            append_timing(setting.place.out / timings_file(part), case.case_id, time.monotonic() - started)
        markers[case.case_id] = marker
        progress(case.case_id, (number + 1) / len(mine))
    return markers, skipped


def _share_of(progress: Progress, number: int, count: int, case_id: str) -> Progress:
    """Progress within one case as a share of the batch."""
    return lambda step, share: progress(f"{case_id}: {step}", (number + min(max(share, 0.0), 1.0)) / count)


def _write_tables(cases: Iterable[BatchCase], setting: Setting) -> None:
    """Write both tables from the markers; once more when another part finished a case meanwhile."""
    everything = list(cases)
    rows: list[dict[str, Any]] | None = None
    while True:
        setting.place.require_present()
        finished = [setting.finished(case) for case in everything]
        found = [marker.row for marker in finished if marker is not None]
        if found == rows:
            return
        rows = found
        write_text(setting.place.out / RESULTS, results_text(rows))
        write_text(setting.place.out / SUMMARY, summary_text(rows))
