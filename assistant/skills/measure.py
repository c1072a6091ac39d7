"""Skill: volume, axes, attenuation, length and distance of what was named."""

from __future__ import annotations

import itertools

from assistant.grounding import say
from assistant.records import Finding, Impression, Status
from assistant.skills.bench import Bench, Reply, able, is_lesion, say_status, say_unable
from assistant.skills.looks import look_at_liver
from assistant.skills.vessels import say_vessels
from vision.structures import by_name

AXES = frozenset({"diameter", "long_axis", "short_axis", "size"})


def measure(bench: Bench) -> Reply:
    """Measure each structure or lesion asked for; volume alone for an organ when no quantity is named."""
    found = [finding for name in able(bench) for finding in bench.findings(name)]
    if "distance" in bench.quantities and len(found) >= 2:
        return _distances(bench, found)
    sentences = say_unable(bench) if found or not able(bench) else [say("not_within", {})]
    findings: list[Finding] = []
    impressions: list[Impression] = []
    for finding in found:
        if finding.status is not Status.SEEN:
            findings.append(finding)
            sentences.append(say_status(finding))
            continue
        measured = _measured(bench, finding)
        findings.append(measured)
        sentences += _sentences(bench, measured)
        if measured.structure == "liver" and "hu" in bench.quantities:
            told, looks = look_at_liver(bench, measured)
            sentences += told
            impressions += looks
    if "distance" in bench.quantities:
        sentences += say_vessels(bench, findings)
    replied = tuple(sentences) or (say("refuse_unclear", {}),)
    return Reply(replied, tuple(findings), impressions=tuple(impressions))


def _measured(bench: Bench, finding: Finding) -> Finding:
    wanted = set(bench.quantities)
    needed = [
        name
        for name, asked in (
            ("axes", bool(wanted & AXES) or "who" in wanted or is_lesion(finding)),
            ("hu", "hu" in wanted),
            ("extent", "extent" in wanted),
        )
        if asked
    ]
    return bench.notebook.measured(finding, *needed)


def _sentences(bench: Bench, finding: Finding) -> list[str]:
    wanted, subject = set(bench.quantities), {"F": finding}
    lesion = is_lesion(finding)
    names = []
    if finding.cut_at and (not wanted or wanted - {"hu"}):
        names.append("lesion_cut_off" if lesion else "cut_off")
    if finding.measurement("long_axis") and (wanted & AXES or (lesion and not wanted)):
        names.append("lesion_axes" if lesion else "axes")
    if finding.measurement("volume") and (not wanted or wanted & {"volume", "size"}):
        names.append("lesion_volume" if lesion else "volume")
    if finding.measurement("who") and "who" in wanted:
        names.append("lesion_who" if lesion else "who")
    if finding.measurement("hu_mean") and "hu" in wanted:
        names.append("lesion_hu" if lesion else "hu")
        names += ["lesion_attenuation"] if finding.attenuation else []
    if finding.measurement("extent") and "extent" in wanted and not finding.cut_at:
        names.append("length")
    return [say(name, subject) for name in names]


def _distances(bench: Bench, found: list[Finding]) -> Reply:
    """The gaps between what was named first and all else: each lesion to each organ, or the lesions of one kind."""
    seen = [finding for finding in found if finding.status is Status.SEEN]
    rest = [finding for finding in found if finding.status is not Status.SEEN]
    first = [finding for finding in seen if finding.structure == seen[0].structure]
    others = [finding for finding in seen if finding not in first]
    pairs = itertools.product(first, others) if others else itertools.combinations(first, 2)
    sentences = [say_status(finding) for finding in rest] + say_unable(bench)
    for one, other in pairs:
        subject, goal = (other, one) if is_lesion(other) and not is_lesion(one) else (one, other)
        subject = bench.notebook.distance(subject, goal)
        sentences.append(say("lesion_distance" if is_lesion(subject) else "distance", {"A": subject, "B": goal}))
    if any(by_name(finding.structure).kind == "vessel" for finding in seen):
        sentences += say_vessels(bench, seen)
    return Reply(tuple(sentences), (*seen, *rest))
