"""Skill: a structured report of everything the model can find, sentence by sentence from records."""

from __future__ import annotations

from assistant.grounding import check_sentences, say
from assistant.records import Finding, Report, Status
from assistant.skills.bench import Bench, Reply
from assistant.skills.compare import with_normal_range
from assistant.skills.describe import describe
from assistant.skills.detect import describe_lesion, say_doubts
from assistant.skills.vessels import say_vessels
from vision.scene import lesion_names
from vision.structures import GROUPS, STRUCTURES

LIMITS = ("report_limits", "report_intended_use")


def report(bench: Bench) -> Reply:
    """Technique, findings by organ in the table's order, lesions, impression, limits; every sentence verified."""
    segmenter = bench.notebook.scene.segmenter
    lesions = tuple(dict.fromkeys((*GROUPS["tumors"], *lesion_names(segmenter))))
    organs = [row.name for row in STRUCTURES if row.name in segmenter.structures and row.name not in lesions]
    technique = describe(bench)
    organ_lines, organ_findings = _organs(bench, organs)
    lesion_lines, lesion_findings = _lesions(bench, lesions)
    findings = (*organ_findings, *lesion_findings)
    impression = [_impression(lesion_findings, name) for name in lesions]
    sections = (
        ("Technique", technique.sentences),
        ("Findings", organ_lines),
        ("Suspected lesions", lesion_lines),
        ("Impression", tuple(impression)),
        ("Limitations", tuple(say(name, {}) for name in LIMITS)),
    )
    checked = tuple((heading, tuple(_checked(lines, findings, technique))) for heading, lines in sections)
    return Reply(
        (say("report_done", {}), *impression),
        findings,
        technique.extra,
        Report(template="structured", sections=checked),
        technique.impressions,
    )


def _checked(lines: tuple[str, ...], findings: tuple[Finding, ...], technique: Reply) -> list[str]:
    """The lines that records cover."""
    kept, _ = check_sentences(lines, findings, extra=technique.extra, impressions=technique.impressions)
    return kept


def _organs(bench: Bench, names: list[str]) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    lines, findings = [], []
    for name in names:
        finding, place = with_normal_range(bench, name)
        if finding.status is Status.SEEN:
            finding = bench.notebook.measured(finding, "hu")
        findings.append(finding)
        lines.append(_organ_line(finding, place))
    return tuple(lines), tuple(findings)


def _organ_line(finding: Finding, place: str | None) -> str:
    subject = {"F": finding}
    if finding.status is Status.NOT_SEEN:
        return say("report_organ_not_seen", subject)
    if finding.status is Status.NOT_ASSESSABLE:
        return say("report_organ_not_assessable", subject)
    if finding.cut_at:
        return say("report_organ_cut", subject)
    return say("report_organ", subject) if place is None else say("report_range", subject, {"place": place})


def _lesions(bench: Bench, names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    findings = [finding for name in names for finding in bench.notebook.lesions(name)]
    seen = [finding for finding in findings if finding.status is Status.SEEN]
    lines = [_lesion_line(finding) for finding in findings]
    lines += [*say_doubts(seen), *say_vessels(bench, seen)]
    return tuple(lines), tuple(bench.notebook.get(finding.id) for finding in findings)


def _lesion_line(finding: Finding) -> str:
    return describe_lesion(finding, sizes=("axes", "volume")) if finding.status is Status.SEEN else _absence(finding)


def _absence(finding: Finding) -> str:
    return say("report_no_lesion" if finding.status is Status.NOT_SEEN else "not_assessable", {"F": finding})


def _impression(findings: tuple[Finding, ...], name: str) -> str:
    """One sentence on the lesions of one kind."""
    found = [finding for finding in findings if finding.structure == name]
    seen = [finding for finding in found if finding.status is Status.SEEN]
    if not seen:
        return _absence(found[0])
    if len(seen) == 1:
        return say("detected_one", {"F": seen[0]})
    return say("detected_several", {"F": seen[0]})
