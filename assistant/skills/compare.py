"""Skill: one structure with another, with its other side, or with the normal range."""

from __future__ import annotations

from assistant.grounding import say
from assistant.measurements import measurement
from assistant.records import Finding, Status
from assistant.skills.bench import Bench, Reply, say_status
from vision.structures import GROUPS, by_name


def compare(bench: Bench) -> Reply:
    """Compare by volume; what is cut, not seen or without a published range is said instead."""
    kind = bench.call.arguments.get("with_", "each_other")
    if kind == "prior":
        return Reply((say("no_prior", {}),))
    if kind == "normal":
        return _with_normal(bench)
    names = bench.structures
    if len(names) == 1:
        pair = by_name(names[0]).pair
        names = (names[0], *(name for name in GROUPS.get(pair or "", ()) if name != names[0]))
    found = [bench.notebook.structure(name) for name in names]
    if "hu" in bench.quantities:
        return _by_attenuation(bench, found)
    unfit = [finding for finding in found if finding.measurement("volume") is None]
    if len(found) < 2 or unfit:
        sentences = [_why_unfit(finding) for finding in unfit]
        return Reply(tuple(sentences) or (say("refuse_not_supported_skill", {}),), tuple(found))
    return _each_other(bench, found)


def _by_attenuation(bench: Bench, found: list[Finding]) -> Reply:
    """The mean HU of each, side by side; the numbers say which is denser."""
    measured = [bench.notebook.measured(f, "hu") if f.status is Status.SEEN else f for f in found]
    sentences = [say("hu", {"F": f}) if f.measurement("hu_mean") else say_status(f) for f in measured]
    return Reply(tuple(sentences), tuple(measured))


def _each_other(bench: Bench, found: list[Finding]) -> Reply:
    """Largest against each of the others, with the difference."""
    ranked = sorted(found, key=_volume, reverse=True)
    largest, sentences = ranked[0], []
    for other in ranked[1:]:
        difference = _volume(largest) - _volume(other)
        largest = bench.notebook.add(
            largest,
            measurement(largest.id, f"difference_{other.id}", difference, unit="mL", method="difference of volumes"),
        )
        subjects = {"A": largest, "B": other}
        equal = round(_volume(largest)) == round(_volume(other))
        sentences += [say("both_volumes" if equal else "larger", subjects), say("difference", subjects)]
    return Reply(tuple(sentences), (largest, *ranked[1:]))


def _with_normal(bench: Bench) -> Reply:
    sentences: list[str] = []
    findings: list[Finding] = []
    for name in bench.structures:
        finding, place = with_normal_range(bench, name)
        findings.append(finding)
        if finding.measurement("volume") is None:
            sentences.append(_why_unfit(finding))
        elif place is None:
            sentences += [say("volume", {"F": finding}), say("no_normal_range", {})]
        else:
            sentences.append(say("in_normal_range", {"F": finding}, {"place": place}))
    return Reply(tuple(sentences), tuple(findings))


def with_normal_range(bench: Bench, name: str) -> tuple[Finding, str | None]:
    """The finding with the bounds of its normal volume, and 'below', 'within' or 'above'; None without a range."""
    finding = bench.notebook.structure(name)
    volume = finding.measurement("volume")
    normal = by_name(name).normal_range("volume")
    if volume is None or normal is None:
        return finding, None
    bounds = (("normal_low", normal.low), ("normal_high", normal.high))
    finding = bench.notebook.add(
        finding, *(measurement(finding.id, key, value, unit="mL", method=normal.source) for key, value in bounds)
    )
    place = "below" if volume.value < normal.low else "above" if volume.value > normal.high else "within"
    return finding, place


def _volume(finding: Finding) -> float:
    volume = finding.measurement("volume")
    return volume.value if volume else 0.0


def _why_unfit(finding: Finding) -> str:
    return say_status(finding) if finding.status is not Status.SEEN else say("cut_off", {"F": finding})
