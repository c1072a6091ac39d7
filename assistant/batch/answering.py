"""One case of a batch: answered, written into a hidden folder, and put in place whole."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assistant.batch.cases import BatchCase
from assistant.batch.marker import Marker, fingerprint, read_marker, write_marker
from assistant.batch.place import Place
from assistant.batch.tables import done_row, failed_row
from assistant.plan import Planner
from assistant.report import report_html, report_markdown
from vision.errors import Cancelled, ResourceError, UserError
from vision.io import Choices, write_text
from vision.io.files.atomic import output_error
from vision.segmenter import Progress, Segmenter

if TYPE_CHECKING:
    from pathlib import Path

    from assistant.answer import Answer

OUTPUT_CODES = ("E_DISK", "E_OUTPUT")
"""What is wrong with the disk and with no case."""


@dataclass(frozen=True)
class Setting:
    """What is the same for every case of a run."""

    place: Place
    segmenter: Segmenter
    planner: Planner
    planner_name: str
    """As it was when the run began; a planner may say otherwise of a single plan."""
    formats: tuple[str, ...]
    choices: Choices
    timeout_s: float | None

    def fingerprint(self, case: BatchCase) -> str:
        """What a case's answer depends on, as a hash."""
        return fingerprint(
            case,
            segmenter=self.segmenter.name,
            planner=self.planner_name,
            formats=self.formats,
            choices=self.choices,
        )

    def finished(self, case: BatchCase) -> Marker | None:
        """The marker of a case that was finished with these very settings."""
        marker = read_marker(self.place.out / case.case_id)
        return marker if marker and marker.fingerprint == self.fingerprint(case) else None


def run_case(case: BatchCase, setting: Setting, progress: Progress) -> Marker:
    """Answer one case and put its folder in place; a case that cannot be answered leaves its error there.

    Raises Cancelled when `progress` does, and ResourceError E_DISK or E_OUTPUT, which are not the case's fault.
    """
    setting.place.require_present()
    # Before the answer: a file that changes meanwhile is answered anew by the next run.
    state = setting.fingerprint(case)
    try:
        answer = answer_case(case, setting, _limited(progress, setting.timeout_s))
        part = setting.place.unfinished()
        row = _write_answer(part, case, answer, setting.formats)
    except Cancelled:
        raise
    except Exception as error:
        row = failed_row(case, _as_user_error(error))
        part = setting.place.unfinished()
    marker = Marker(state, row)
    write_marker(marker, part)
    setting.place.finish(part, case.case_id)
    return marker


def answer_case(case: BatchCase, setting: Setting, progress: Progress) -> Answer:
    """Open one case and ask it its question."""
    from assistant.api import open_ct

    conversation = open_ct(
        case.input, choices=setting.choices, segmenter=setting.segmenter, planner=setting.planner, progress=progress
    )
    return conversation.ask(case.question, progress=progress)


def _write_answer(part: Path, case: BatchCase, answer: Answer, formats: Sequence[str]) -> dict[str, Any]:
    record = answer.without_times().write_files(part)
    if "md" in formats:
        write_text(part / "report.md", report_markdown(record))
    if "html" in formats:
        picture = part / "preview.png"
        write_text(part / "report.html", report_html(record, picture.read_bytes() if picture.is_file() else None))
    return done_row(case, record)


def _limited(progress: Progress, timeout_s: float | None) -> Progress:
    """`progress` that stops the case when its time is up."""
    if timeout_s is None:
        return progress
    deadline = time.monotonic() + timeout_s

    def stopping(step: str, share: float) -> None:
        progress(step, share)
        if time.monotonic() > deadline:
            raise ResourceError(
                "E_TIMEOUT",
                f"The case took longer than {timeout_s:g} s.",
                "Raise --timeout-per-case and go on with --resume.",
            )

    return stopping


def _as_user_error(error: Exception) -> UserError:
    """What a failed case is told with. A disk that cannot be written to, and under BODYMAPS_DEBUG an error of ours,
    stop the batch."""
    if isinstance(error, UserError):
        if error.code in OUTPUT_CODES:
            raise error
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise output_error(error) from error
    if isinstance(error, MemoryError):
        return ResourceError("E_MEMORY", "The memory did not suffice for this case.", "Free memory and use --resume.")
    if os.environ.get("BODYMAPS_DEBUG"):
        raise error
    return UserError(
        "E_UNEXPECTED",
        f"An unexpected {type(error).__name__} stopped this case.",
        "Run with BODYMAPS_DEBUG=1 for details.",
    )
