"""What the page shows of a session: HTML and chat text from records. No voxel is touched, nothing is computed."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from PIL import Image

from assistant.answer import Answer
from assistant.grounding.numbers import format_measurement
from assistant.plan import SkillCall
from assistant.records import INTENDED_USE, Finding, Status, WarningRecord
from assistant.serve.downloads import FILES
from vision.errors import UserError
from vision.geometry import CTVolume, Notice
from vision.io import SeriesInfo
from vision.structures import by_name

Message = dict[str, Any]

EXAMPLES = (
    "Segment the liver.",
    "Segment the tumour in the tail of the pancreas and then measure its size.",
    "Take a look and mark the suspected tumour region.",
    "Generate a report.",
)
TIMES = "\u00d7"
COLUMNS = ("Structure", "Status", "Volume", f"Long {TIMES} short axis", "Confidence", "Place")
MARKUP = {ord(sign): f"&#{ord(sign)};" for sign in "\\`*_[]#$|~"}
NO_CT = """<div class="empty-view"><div class="empty-title">No CT is open</div><div>
Drop a NIfTI file (.nii, .nii.gz) or a zip of DICOM into the box on the left,<br>or open the example CT.
</div></div>"""
NO_FINDINGS = '<div class="hint">Findings appear here once you have asked for something.</div>'
HEADER = f"""<div class="top"><div><span class="brand">BodyMaps Assistant</span>
<span class="tagline">Ask an abdominal CT in your own words</span></div>
<span class="intended">{INTENDED_USE}</span></div>"""


def said(text: str, *, role: str = "assistant", options: Sequence[tuple[str, str]] = ()) -> Message:
    """A chat message; `options` are (value, label) buttons under it."""
    message: Message = {"role": role, "content": text}
    if options:
        message["options"] = [{"value": value, "label": label} for value, label in options]
    return message


def step_message(title: str, *, done: float = 0.0) -> Message:
    """A step that is running; `done` is the share of it in [0, 1], shown when it is neither."""
    metadata = {"title": title[:1].upper() + title[1:], "status": "pending"}
    if 0 < done < 1:
        metadata["log"] = f"{done:.0%}"
    return {"role": "assistant", "content": "", "metadata": metadata}


def finish_step(message: Message, seconds: float) -> Message:
    """The same step, ended."""
    metadata = {"title": message["metadata"]["title"], "status": "done", "duration": round(seconds, 1)}
    return {**message, "metadata": metadata}


def folded_steps(steps: Sequence[Message]) -> Message:
    """Steps that have ended, folded into one line with their seconds."""
    known = [message["metadata"] for message in steps]
    lines = [f"- {step['title']}: {step['duration']:.1f} s" for step in known]
    metadata = {"title": "Steps", "status": "done", "duration": round(sum(step["duration"] for step in known), 1)}
    return {"role": "assistant", "content": "\n".join(lines), "metadata": metadata}


def trace_message(answer: Answer) -> Message:
    """How an answer came about, folded away: plan, each skill that ran, who planned and spoke, what was left out."""
    record = answer.record
    lines = [f"- plan: {plain(', '.join(map(_planned, record.plan)))}"]
    lines += [
        f"- {plain(step.skill)}: {plain(step.detail)}" + ("" if step.seconds is None else f" ({step.seconds:.1f} s)")
        for step in record.trace
    ]
    makers = (("planner", record.planner), ("words", record.speaker), ("segmenter", record.segmenter))
    lines += [f"- {what}: {plain(name)}" for what, name in makers]
    lines += [f"- looks: {plain(f'{one.topic} {one.word}')} ({one.confidence:.2f})" for one in record.impressions]
    lines += [f"- left out: {plain(sentence)}" for sentence in record.dropped]
    metadata: Message = {"title": "How this was answered", "status": "done"}
    if "total" in record.seconds:
        metadata["duration"] = round(record.seconds["total"], 1)
    return {"role": "assistant", "content": "\n".join(lines), "metadata": metadata}


def _planned(call: SkillCall) -> str:
    """A call as one reads it; what was not understood of the question is not repeated."""
    values = (f"{key} {value}" for key, value in call.arguments.items() if key != "words")
    return f"{call.name}({'; '.join(values)})"


def answer_text(answer: Answer) -> str:
    """The text of an answer, one paragraph a line; a report with its headings."""
    report = answer.record.report
    if report is None:
        return plain(answer.record.text).replace("\n", "\n\n")
    parts = [
        f"**{plain(heading)}**\n\n" + "\n".join(f"- {plain(line)}" for line in lines)
        for heading, lines in report.sections
    ]
    return "\n\n".join(parts)


def error_text(error: UserError) -> str:
    """An error for the chat: what is wrong, what to do, its code."""
    return f"{plain(error.what)}\n\n{plain(error.remedy)}\n\n`{error.code}`"


def choice_text(error: UserError) -> str:
    """What the chat asks when a file leaves a choice; the buttons under it are the answers."""
    if error.code == "E_SERIES_AMBIGUOUS":
        return "This upload holds several CT series. Which one do you mean?"
    return f"{plain(error.what)}\n\nHow do you want to open it?\n\n`{error.code}`"


def series_label(row: SeriesInfo) -> str:
    """One DICOM series as a choice."""
    thickness = "" if row.thickness_mm is None else f", {row.thickness_mm:g} mm"
    return f"Series {row.index}: {row.slices} slices of {row.shape[0]} {TIMES} {row.shape[1]}{thickness}"


def ct_line(ct: CTVolume) -> str:
    """The open CT in one sentence: matrix, voxel size, phase."""
    i, j, k = ct.grid.shape
    x, y, z = ct.grid.spacing_mm
    phase = str(ct.facts.get("phase", "")).replace("_", " ")
    size = f"{i} {TIMES} {j} {TIMES} {k} voxels of {x:.2g} {TIMES} {y:.2g} {TIMES} {z:.2g} mm"
    return f"{size}, {phase} phase" if phase else size


def warnings_html(warnings: Sequence[WarningRecord | Notice]) -> str:
    """The warnings of a CT and its answers, each once."""
    unique = {warning.code: warning.text for warning in warnings}
    return "".join(f'<div class="warning" title="{escape(code)}">{escape(text)}</div>' for code, text in unique.items())


def findings_html(findings: Sequence[Finding]) -> str:
    """The findings as a table, a colour chip at each structure."""
    if not findings:
        return NO_FINDINGS
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    return (
        f'<table class="findings"><thead><tr>{head}</tr></thead><tbody>{"".join(map(_row, findings))}</tbody></table>'
    )


def files_html(tokens: Mapping[str, str]) -> str:
    """Links to the files of an answer; `tokens` are the secret tokens by file name, none where there is no answer."""
    return "".join(
        f'<a class="file" href="results/{escape(tokens[name])}" download>{label}</a>'
        if name in tokens
        else f'<span class="file none">{label}</span>'
        for name, label in FILES.items()
    )


def busy_html(*, at_work: bool) -> str:
    """What makes the page show the stop button, or the one that sends."""
    return '<i class="at-work"></i>' if at_work else ""


def picture_html(picture: Image.Image, alt: str) -> str:
    """A picture inside the page itself: nothing of the patient is written to a file that a link could reach."""
    png = io.BytesIO()
    picture.save(png, "PNG", compress_level=2)
    code = base64.b64encode(png.getvalue()).decode("ascii")
    return f'<img class="slice" alt="{escape(alt)}" src="data:image/png;base64,{code}">'


def plain(text: str) -> str:
    """Text in which nothing is Markdown, mathematics or HTML any more."""
    return escape(text, quote=False).translate(MARKUP)


def _row(finding: Finding) -> str:
    structure = by_name(finding.structure)
    red, green, blue = structure.colour
    chip = f'<span class="chip" style="background:rgb({red},{green},{blue})"></span>'
    status = "cut by the scan range" if finding.status is Status.SEEN and not finding.complete else finding.status.value
    confidence = "" if finding.confidence is None else f"{finding.confidence:.2f}"
    kind = finding.status.value.replace(" ", "-")
    cells = (
        f"{chip}{escape(structure.spoken)} <small>{escape(finding.id)}</small>",
        f'<span class="status {kind}" title="{escape(finding.why)}">{escape(status)}</span>',
        _number(finding, "volume"),
        f" {TIMES} ".join(filter(None, (_number(finding, "long_axis"), _number(finding, "short_axis")))),
        confidence,
        escape(_place(finding)) or f"<small>{escape(finding.why)}</small>",
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _number(finding: Finding, quantity: str) -> str:
    measurement = finding.measurement(quantity)
    return "" if measurement is None else escape(format_measurement(measurement))


def _place(finding: Finding) -> str:
    site = finding.site
    organ = by_name(site.organ).spoken if site.organ and site.organ != finding.structure else ""
    segments = f"segment {', '.join(map(str, site.segments))}" if site.segments else ""
    span = "" if site.first_slice is None else f"slices {site.first_slice} to {site.last_slice}"
    return ", ".join(filter(None, (organ, site.part, site.side, segments, span)))
