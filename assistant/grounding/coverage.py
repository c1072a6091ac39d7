"""Whether one finding covers one claim."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from assistant.grounding.lesion_claims import LESION_RULES
from assistant.grounding.lexicon import is_lesion, plain, spoken
from assistant.grounding.numbers import readings
from assistant.grounding.page import Claim
from assistant.grounding.words import NUMBER_WORDS, RELATIONAL, SEVERAL, UNNAMED
from assistant.records import Finding, Measurement, Status
from vision.structures import by_name


def covers(claim: Claim, finding: Finding, *, related: Sequence[Finding]) -> bool:
    """Whether a finding's record says the same as a claim about it.

    `related` are the findings of the whole sentence: a distance or difference may be recorded with the other one.
    """
    return _RULES[claim.kind](claim, finding, related)


def states(claim: Claim, measurements: Iterable[Measurement]) -> bool:
    """Whether a number with its unit is a rendering of one of the measurements, of the quantity it is said to be."""
    wanted = (claim.value[0], claim.value[1])
    if claim.value[1] == "1" and not claim.quantity:
        return False
    return any(
        wanted in readings(measurement) and (not claim.quantity or measurement.quantity.startswith(claim.quantity))
        for measurement in measurements
    )


def counts(claim: Claim, findings: Sequence[Finding]) -> bool:
    """Whether a count is the number of findings seen, or a count that one of them records."""
    seen = sum(finding.status is Status.SEEN for finding in findings)
    word = claim.value[0]
    if word in SEVERAL:
        return seen > 1
    number = 2 if word == "both" else NUMBER_WORDS.get(word) or int(word)
    recorded = [m.value for finding in findings for m in finding.measurements if m.quantity == "count"]
    return number == seen or number in recorded


def organs_of(finding: Finding) -> frozenset[str]:
    """Table names of where a finding lies: its site's organ, part and segments, else the organs its kind can lie in."""
    structure = by_name(finding.structure)
    site = finding.site
    organs = {site.organ} if site.organ else {*structure.lesion_of, structure.parent or ""}
    if site.organ is None and site.side:
        organs = {name for name in organs if name and by_name(name).side in (site.side, None)}
    if site.part in ("head", "body", "tail") and site.organ in (None, "pancreas"):
        organs.add(f"pancreas_{site.part}")
    organs.update(f"liver_segment_{number}" for number in site.segments)
    return frozenset(name for name in organs if name)


def sides_of(finding: Finding) -> frozenset[str]:
    """The sides on record: the site's own, else those of the structure and of the organ it lies in."""
    if finding.site.side:
        return frozenset({finding.site.side})
    names = [finding.structure, *([finding.site.organ] if finding.site.organ else [])]
    return frozenset(side for side in (by_name(name).side for name in names) if side)


def _number(claim: Claim, finding: Finding, related: Sequence[Finding]) -> bool:
    ids = {other.id for other in related}
    between = [m for other in related for m in other.measurements if m.quantity.startswith(RELATIONAL)]
    own = [m for m in finding.measurements if not m.quantity.startswith(RELATIONAL)]
    if not claim.quantity:
        own = [m for m in own if m.unit not in UNNAMED or m.quantity.startswith(UNNAMED[m.unit])]
    return states(claim, [*own, *(m for m in between if _other(m) in (*ids, ""))])


def _other(measurement: Measurement) -> str:
    """The finding id at the end of 'distance_F2'; empty where the quantity does not name the other finding."""
    last = measurement.quantity.rpartition("_")[2]
    return last if re.fullmatch(r"F\d+", last) else ""


def _pair(claim: Claim, finding: Finding, related: Sequence[Finding]) -> bool:
    long_axis, short_axis = finding.measurement("long_axis"), finding.measurement("short_axis")
    if long_axis is None or short_axis is None:
        return False
    first, second = (claim.value[0], claim.value[1]), (claim.value[2], claim.value[3])
    return first in readings(long_axis) and second in readings(short_axis)


def _side(claim: Claim, finding: Finding, related: Sequence[Finding]) -> bool:
    return claim.value[0] in sides_of(finding)


def _part(claim: Claim, finding: Finding, related: Sequence[Finding]) -> bool:
    return claim.value[0] in (finding.site.part, *plain(spoken(finding.structure)).split())


def _segments(claim: Claim, finding: Finding, related: Sequence[Finding]) -> bool:
    if finding.structure.startswith("liver_segment_"):
        return claim.value == (finding.structure.removeprefix("liver_segment_"),)
    return {int(number) for number in claim.value} <= set(finding.site.segments)


def _slices(claim: Claim, finding: Finding, related: Sequence[Finding]) -> bool:
    said = tuple(int(number) for number in claim.value)
    first, last = finding.site.first_slice, finding.site.last_slice
    if len(said) == 2:
        return said == (first, last)
    return (first == last == said[0]) or any(m.slice_index == said[0] for m in finding.measurements)


def _confidence(claim: Claim, finding: Finding, related: Sequence[Finding]) -> bool:
    return finding.confidence is not None and claim.value[0] == f"{finding.confidence:.2f}"


def _cut(claim: Claim, finding: Finding, related: Sequence[Finding]) -> bool:
    return not finding.complete and set(claim.value) == set(finding.cut_at)


def _no_size(claim: Claim, finding: Finding, related: Sequence[Finding]) -> bool:
    return finding.measurement("volume") is None


def _range(claim: Claim, finding: Finding, related: Sequence[Finding]) -> bool:
    low, high = finding.measurement("normal_low"), finding.measurement("normal_high")
    value = finding.measurement("volume") or finding.measurement("length") or finding.measurement("thickness")
    if low is None or high is None or value is None or not low.unit == high.unit == value.unit:
        return False
    place = "below" if value.value < low.value else "above" if value.value > high.value else "within"
    return claim.value[0] == place


def _organ(claim: Claim, finding: Finding, related: Sequence[Finding]) -> bool:
    return (
        bool(organs_of(finding) & set(claim.value))
        if is_lesion(finding.structure)
        else (finding.structure in claim.value or bool(organs_of(finding) & set(claim.value)))
    )


def _count(claim: Claim, finding: Finding, related: Sequence[Finding]) -> bool:
    return counts(claim, related)


def _suspected(claim: Claim, finding: Finding, related: Sequence[Finding]) -> bool:
    """Only a lesion is suspected; an organ is there or not."""
    return is_lesion(finding.structure)


_RULES: dict[str, Callable[[Claim, Finding, Sequence[Finding]], bool]] = {
    "number": _number,
    "pair": _pair,
    "count": _count,
    "side": _side,
    "part": _part,
    "segments": _segments,
    "slices": _slices,
    "confidence": _confidence,
    "cut": _cut,
    "no_size": _no_size,
    "range": _range,
    "organ": _organ,
    "suspected": _suspected,
    **LESION_RULES,
}
