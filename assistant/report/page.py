"""What a rendered record shows, row by row: the same for every format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from assistant.grounding.numbers import format_measurement
from assistant.records import AnswerRecord, Finding, Status, WarningRecord
from assistant.version import software_version
from prompts import load_words
from vision.structures import GROUPS, by_name


@dataclass(frozen=True)
class FindingRow:
    """One line of the table of findings, in words."""

    id: str
    structure: str
    status: str
    place: str
    complete: str
    confidence: str


@dataclass(frozen=True)
class MeasurementRow:
    """One line of the table of measurements, in words; `id` is that of the record."""

    id: str
    structure: str
    quantity: str
    value: str
    method: str


@dataclass(frozen=True)
class Page:
    """A record laid out for reading; every string is still unescaped."""

    intended_use: str
    question: str
    paragraphs: tuple[str, ...]
    sections: tuple[tuple[str, tuple[str, ...]], ...]
    findings: tuple[FindingRow, ...]
    measurements: tuple[MeasurementRow, ...]
    searched: tuple[str, ...]
    not_searched: tuple[tuple[str, str], ...]
    """(structure in words, why) pairs."""
    warnings: tuple[WarningRecord, ...]
    limitations: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]


def lay_out(record: AnswerRecord) -> Page:
    """Lay a record out. With a report the answer's text is left out: the report's sections say it."""
    sections = record.report.sections if record.report else ()
    paragraphs = () if sections else tuple(line.strip() for line in record.text.splitlines() if line.strip())
    return Page(
        intended_use=record.intended_use,
        question=record.question,
        paragraphs=paragraphs,
        sections=sections,
        findings=tuple(_finding_row(finding) for finding in record.findings),
        measurements=tuple(_measurement_rows(record.findings)),
        searched=_searched(record.findings),
        not_searched=tuple(dict.fromkeys(_not_searched(record))),
        warnings=record.warnings,
        limitations=tuple(load_words("report")["limitations"]),
        facts=(
            *_ct_facts(record.ct),
            ("segmenter", record.segmenter),
            ("planner", record.planner),
            ("words", record.speaker),
            ("software", f"bodymaps-assistant {software_version()}"),
            ("record schema", record.schema_version),
        ),
    )


def _spoken(structure: str) -> str:
    return by_name(structure).spoken


def _finding_row(finding: Finding) -> FindingRow:
    whole = "yes" if finding.complete else f"cut at: {', '.join(finding.cut_at) or 'the scan range'}"
    seen = finding.status is Status.SEEN
    return FindingRow(
        id=finding.id,
        structure=_spoken(finding.structure),
        status=f"{finding.status}: {finding.why}"
        if finding.status is Status.NOT_SEEN and finding.why
        else finding.status,
        place=_place(finding),
        complete=whole if seen else "",
        confidence="" if finding.confidence is None else f"{finding.confidence:.2f}",
    )


def _place(finding: Finding) -> str:
    site = finding.site
    words = [
        _spoken(site.organ) if site.organ and site.organ != finding.structure else "",
        site.side or "",
        site.part or "",
        f"segments {', '.join(str(number) for number in site.segments)}" if site.segments else "",
    ]
    if site.first_slice is not None and site.last_slice is not None:
        words.append(f"slices {site.first_slice} to {site.last_slice}")
    return ", ".join(word for word in words if word)


def _measurement_rows(findings: tuple[Finding, ...]) -> Iterator[MeasurementRow]:
    words = load_words("report")["quantities"]
    for finding in findings:
        for measurement in finding.measurements:
            yield MeasurementRow(
                id=measurement.id,
                structure=_spoken(finding.structure),
                quantity=words.get(measurement.quantity, measurement.quantity.replace("_", " ")),
                value=format_measurement(measurement),
                method=measurement.method,
            )


def _searched(findings: tuple[Finding, ...]) -> tuple[str, ...]:
    searched = (finding for finding in findings if finding.status is not Status.NOT_ASSESSABLE)
    return tuple(dict.fromkeys(_spoken(finding.structure) for finding in searched))


def _not_searched(record: AnswerRecord) -> Iterator[tuple[str, str]]:
    """What could not be judged, and what the plan names without a finding that answers it."""
    for finding in record.findings:
        if finding.status is Status.NOT_ASSESSABLE:
            yield _spoken(finding.structure), _sentence(finding.why)
    found = {finding.structure for finding in record.findings}
    for call in record.plan:
        for name in call.arguments.get("structures", ()):
            for structure in GROUPS.get(name, (name,)):
                if structure in found:
                    continue
                yield _spoken(structure), "It was asked for; the answer holds no finding about it."


def _sentence(reason: str) -> str:
    """A reason as records hold it ('the liver is cut'), with capital and full stop."""
    return f"{reason[:1].upper()}{reason[1:].rstrip('.')}." if reason else ""


def _ct_facts(ct: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in ct.items():
        if isinstance(value, Mapping):
            yield from _ct_facts(value)
            continue
        name, unit = (key.removesuffix("_mm"), " mm") if key.endswith("_mm") else (key, "")
        many = isinstance(value, list | tuple)
        shown = " x ".join(_plain(part) for part in value) if many else _plain(value)
        yield name.replace("_", " "), shown + unit


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
