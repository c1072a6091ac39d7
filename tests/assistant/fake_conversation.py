"""A conversation that needs no network: a block of liver with one lesion in an empty CT."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from assistant.answer import Answer
from assistant.plan import SkillCall
from assistant.records import AnswerRecord, BoxRecord, Finding, Measurement, Report, Site, Status, Step, WarningRecord
from assistant.speech import Say, unheard
from vision.geometry import CTVolume, Grid, Mask, Notice
from vision.io import Choices, load_ct
from vision.segmenter import Progress, no_progress


def small_ct(shape: tuple[int, int, int] = (48, 40, 24)) -> CTVolume:
    hu = np.full(shape, -1000, dtype=np.int16)
    hu[6:42, 6:34] = 40
    notice = Notice("W_SMALL", "The scan range is short: 120 mm.")
    return CTVolume(hu, Grid.from_spacing(shape, (4.0, 4.0, 5.0)), {"phase": "portal_venous"}, (notice,))


class FakeConversation:
    """Answers every question with the same findings; `hold`, or the word in a question, makes it wait for a stop."""

    def __init__(
        self, ct: CTVolume | None = None, *, hold: bool = False, fail: Exception | None = None, pause: float = 0.0
    ) -> None:
        self.ct = small_ct() if ct is None else ct
        self.findings: tuple[Finding, ...] = ()
        self.hold = hold
        self.fail = fail
        self.pause = pause
        self.asked: list[str] = []
        self.closed = False

    def close(self) -> None:
        self.closed = True

    def masks(self) -> Mapping[str, Mask]:
        if not self.findings:
            return {}
        i, j, k = self.ct.grid.shape
        liver, lesion = np.zeros((i, j, k), dtype=bool), np.zeros((i, j, k), dtype=bool)
        liver[i // 2 : i // 2 + 12, j // 4 : 3 * j // 4, k // 4 : 3 * k // 4] = True
        lesion[i // 2 + 4 : i // 2 + 8, j // 2 : j // 2 + 4, k // 2 : k // 2 + 3] = True
        return {"F1": Mask(liver, self.ct.grid, "liver"), "F2": Mask(lesion, self.ct.grid, "liver_lesion")}

    def ask(self, question: str, *, progress: Progress = no_progress, say: Say = unheard) -> Answer:
        self.asked.append(question)
        progress("Reading the whole scan", 0.4)
        if self.fail is not None:
            raise self.fail
        while self.hold or "hold" in question:
            progress("Waiting", 0.5)
            threading.Event().wait(0.01)
        threading.Event().wait(self.pause)
        progress("Measuring", 0.9)
        say("The liver measures 1,523 mL.")
        threading.Event().wait(self.pause)
        progress("Measuring", 1.0)
        self.findings = _findings(self.ct.grid)
        report = Report(template="plain", sections=(("Liver", ("Volume of the liver: 1,523 mL.",)),))
        record = AnswerRecord(
            question=question,
            text="The liver measures 1,523 mL.\nSuspected liver lesion F2 has a long axis of 16 mm.",
            findings=self.findings,
            report=report if "report" in question.lower() else None,
            warnings=(WarningRecord(code="W_SMALL", text="The scan range is short: 120 mm."),),
            plan=(SkillCall(name="segment", arguments={"structures": ["liver"]}),),
            planner="rules",
            segmenter="fake",
            trace=(Step(skill="segment", detail="liver", seconds=0.2),),
            seconds={"total": 0.3},
        )
        return Answer(record, self.masks(), self.ct)


def _findings(grid: Grid) -> tuple[Finding, ...]:
    i, j, k = grid.shape
    start, stop = (i // 2 + 4, j // 2, k // 2), (i // 2 + 8, j // 2 + 4, k // 2 + 3)
    ends = grid.to_mm(np.asarray([(start[0], start[1] + 1, k // 2 + 1), (stop[0] - 1, start[1] + 1, k // 2 + 1)]))
    points = tuple(tuple(float(value) for value in end) for end in ends)
    box = BoxRecord(start=start, stop=stop, centre_mm=(0, 0, 0), size_mm=(16, 16, 15), confidence=0.83)
    return (
        Finding(
            id="F1",
            structure="liver",
            status=Status.SEEN,
            confidence=0.97,
            site=Site(first_slice=6, last_slice=17),
            measurements=(Measurement(id="F1.volume", quantity="volume", value=1523, unit="mL", method="voxels"),),
        ),
        Finding(
            id="F2",
            structure="liver_lesion",
            status=Status.SEEN,
            confidence=0.83,
            site=Site(organ="liver", segments=(7,), first_slice=12, last_slice=14),
            box=box,
            measurements=(
                Measurement(id="F2.volume", quantity="volume", value=3.8, unit="mL", method="voxels"),
                Measurement(
                    id="F2.long_axis", quantity="long_axis", value=16, unit="mm", method="RECIST", endpoints_mm=points
                ),
                Measurement(id="F2.short_axis", quantity="short_axis", value=14, unit="mm", method="RECIST"),
            ),
        ),
        Finding(id="F3", structure="prostate", status=Status.NOT_ASSESSABLE, why="It lies below the scan range."),
    )


def open_fake(path: Path, choices: Choices, progress: Progress) -> FakeConversation:
    """An opener that reads the file through the real gate."""
    progress("Reading the CT", 0.1)
    return FakeConversation(load_ct(path, choices=choices))
