"""The demo: the mission's four sentences, asked of a CT of known truth or of the person's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from assistant.grounding.numbers import format_measurement
from assistant.records import Finding, Measurement, Status
from assistant.report import report_html, report_markdown
from assistant.terminal import progress_bar
from vision.given import GivenMasks
from vision.io import write_bytes, write_ct, write_text
from vision.measure import volume_ml
from vision.phantom import LesionTruth, Phantom, make_phantom
from vision.segmenter import Segmenter
from vision.structures import by_name

if TYPE_CHECKING:
    from assistant.answer import Answer

QUESTIONS = (
    "Segment the liver.",
    "Segment the tumour in the tail of the pancreas and then measure its size.",
    "Take a look and mark the suspected tumour region.",
    "Generate a report.",
)
PHANTOM_CT = "ct.nii.gz"


def run_demo(
    ct: Path | None, out: Path, *, segmenter: Segmenter | None = None, say: Callable[[str], None] = typer.echo
) -> None:
    """Ask the four questions of `ct`, or of a phantom whose truth is printed beside each number.

    Writes `<out>/answer_<n>/` for each question, overlay.png, report.md and report.html, and the phantom as ct.nii.gz.
    Raises InputRefused for a CT that cannot be opened and WeightsError without a model.
    """
    from assistant.api import default_segmenter, open_ct

    phantom = None
    if ct is None:
        say("Making a CT of known truth: a standard adult with a tumour in the tail of the pancreas.")
        phantom = make_phantom(seed=0)
        ct = write_ct(phantom.ct, out / PHANTOM_CT)
        segmenter = _with_what_it_cannot_see(phantom, segmenter or default_segmenter(), say)
    with progress_bar() as progress:
        conversation = open_ct(ct, segmenter=segmenter, progress=progress)
    for notice in conversation.ct.warnings:
        say(f"Note: {notice.text}")
    for number, question in enumerate(QUESTIONS, start=1):
        started = time.monotonic()
        with progress_bar() as progress:
            answer = conversation.ask(question, progress=progress)
        say(f"\n{typer.style(f'{number}. {question}', bold=True)}")
        say(answer.text)
        if phantom is not None:
            for line in compare_with_truth(phantom, answer.findings):
                say(typer.style(f"   {line}", dim=True))
        say(typer.style(f"   {time.monotonic() - started:.1f} s", dim=True))
        _keep(answer, out, number)
    say(f"\nAnswers, masks, overlay.png and report.html are in {out}")
    say("Research only; not for clinical use. To talk to a CT in the browser: make chat")


def _with_what_it_cannot_see(phantom: Phantom, segmenter: Segmenter, say: Callable[[str], None]) -> Segmenter:
    """The segmenter, with the phantom's own tumour mask given to it when it does not search for that kind itself."""
    unseen = {
        lesion.structure: phantom.masks[lesion.structure]
        for lesion in phantom.truth.lesions
        if lesion.structure not in segmenter.structures
    }
    if not unseen:
        return segmenter
    say("The shipped model does not search there for lesions yet: the tumour's mask is given, its size is measured.")
    return GivenMasks(segmenter, unseen)


def compare_with_truth(phantom: Phantom, findings: tuple[Finding, ...]) -> Iterator[str]:
    """A line for every measured volume and axis of which the phantom knows the truth, and for a lesion not found."""
    lesions = {lesion.structure: lesion for lesion in phantom.truth.lesions}
    for finding in findings:
        if finding.structure not in phantom.masks:
            continue
        spoken = by_name(finding.structure).spoken
        if finding.status is not Status.SEEN:
            yield f"truth: this CT was made with a {spoken}"
            continue
        made = _made_with(phantom, finding.structure, lesions)
        for measurement in finding.measurements:
            if measurement.quantity in made:
                yield f"truth: {spoken}, {_beside(measurement, made[measurement.quantity])}"


def _made_with(phantom: Phantom, structure: str, lesions: Mapping[str, LesionTruth]) -> dict[str, float]:
    """Quantity -> true value: analytic for a lesion, of the exact mask for anything else."""
    if structure not in lesions:
        return {"volume": volume_ml(phantom.masks[structure])}
    lesion = lesions[structure]
    return {"volume": lesion.volume_ml, "long_axis": lesion.long_axis_mm, "short_axis": lesion.short_axis_mm}


def _beside(measured: Measurement, truth: float) -> str:
    made = measured.model_copy(update={"value": truth})
    words = measured.quantity.replace("_", " ")
    return f"{words} {format_measurement(measured)} measured, {format_measurement(made)} made"


def _keep(answer: Answer, out: Path, number: int) -> None:
    """Save an answer, and what is to be looked at beside them all."""
    folder = answer.save(out / f"answer_{number}")
    picture = folder / "preview.png"
    preview = picture.read_bytes() if picture.is_file() else None
    if preview is not None:
        write_bytes(out / "overlay.png", preview)
    if answer.record.report is not None:
        write_text(out / "report.md", report_markdown(answer.record))
        write_text(out / "report.html", report_html(answer.record, preview))
