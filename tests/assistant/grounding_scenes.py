"""Random records and the true sentences that follow from them. Seeded; used by test_grounding.py."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from assistant.grounding import MissingSlot, say, say_lesion
from assistant.records import Attenuation, Finding, Measurement, Site, Status
from prompts import replies
from tests.assistant.grounding_parts import PARTS
from vision.structures import STRUCTURES, by_name

ORGANS = tuple(row for row in STRUCTURES if row.kind in ("organ", "vessel", "part"))
LESIONS = tuple(row for row in STRUCTURES if row.kind == "lesion")
SEEN_ORGAN = (
    *(name for name in replies.MEASURE if not name.startswith("lesion")),
    "segmented",
    "segmented_part",
    "segmented_volume",
    "slices",
    "side",
    "present",
    "report_organ",
    "report_organ_volume",
)
SEEN_LESION = (
    "segmented_lesion",
    *(name for name in replies.MEASURE if name.startswith("lesion")),
    *(name for name in replies.LOCATE if name.startswith("lesion")),
    *(name for name in replies.DETECT if name.startswith("detected")),
    *("count_one", "count_many"),
    *("lesion_lobes", "lesion_vessels"),
)
TOUCHED = ("aorta", "postcava", "celiac_trunk")
ABSENT_LESION = ("none_detected", "none_detected_why", "count_none", "not_seen_lesion", "report_no_lesion", "not_seen")
ABSENT_ORGAN = ("not_seen", "not_seen_why", "report_organ_not_seen")
UNASSESSABLE = ("not_searched", "not_assessable", "not_searched_why", "report_organ_not_assessable", "why")
CUT = ("cut", "cut_off", "segmented_cut", "report_organ_cut")
CUT_LESION = ("detected_cut", "lesion_cut_off")
PAIRED = ("larger", "smaller", "both_volumes", "difference", "ratio", "distance", "contact")


@dataclass(frozen=True)
class Told:
    """A true sentence, the reply it is made of, what it rests on, and the findings that it is about."""

    template: str
    text: str
    scene: tuple[Finding, ...]
    about: tuple[Finding, ...]


def scene(random_source: random.Random) -> tuple[Finding, ...]:
    """Six organs and three kinds of lesion: seen, cut, not seen or not assessable, with every measurement."""
    findings: list[Finding] = []
    for structure in random_source.sample(ORGANS, 6):
        findings.append(_organ(f"F{len(findings) + 1}", structure.name, random_source))
    for structure in random_source.sample(LESIONS, 3):
        number = random_source.choice((0, 1, 1, 2, 3))
        for _ in range(max(number, 1)):
            lesion = _lesion(f"F{len(findings) + 1}", structure.name, random_source, count=number)
            findings.append(lesion)
    for first, second in (*_neighbours(findings), *_beside(findings)):
        findings[findings.index(first)] = first.model_copy(
            update={"measurements": (*first.measurements, *_between(first.id, second.id, random_source))}
        )
    for first, second in _touching(findings):
        findings[findings.index(first)] = first.model_copy(update={"touches": (second.id,)})
        findings[findings.index(second)] = second.model_copy(update={"touches": (first.id,)})
    return tuple(findings)


def true_sentences(number: int, *, seed: int) -> Iterator[Told]:
    """Sentences of `prompts.replies`, each filled from a random scene."""
    random_source = random.Random(seed)
    made = 0
    while made < number:
        findings = scene(random_source)
        for told in _sentences_of(findings, random_source):
            yield told
            made += 1


def _sentences_of(findings: tuple[Finding, ...], random_source: random.Random) -> Iterator[Told]:
    for finding in findings:
        for name in _fitting(finding, findings):
            told = _told(name, {"F": finding}, findings)
            if told:
                yield told
    for first, second in _beside(findings):
        for name in ("lesion_distance", "lesion_contact"):
            told = _told(name, {"A": first, "B": second}, findings)
            if told:
                yield told
    for first, second in _touching(findings):
        told = _told("lesions_touching", {"A": first, "B": second}, findings)
        if told:
            yield told
    for first, second in _neighbours(findings):
        larger = _value(first, "volume") > _value(second, "volume")
        for name in PAIRED:
            told = _told(name, {"A": first, "B": second}, findings)
            if told and name != ("smaller" if larger else "larger"):
                yield told


def _told(name: str, subjects: dict[str, Finding], findings: tuple[Finding, ...]) -> Told | None:
    try:
        if name in PARTS:
            return Told(name, say_lesion(name.split(), subjects["F"]), findings, tuple(subjects.values()))
        words = {"place": _place(subjects["F"])} if "{place}" in replies.REPLIES[name] else {}
        return Told(name, say(name, subjects, words), findings, tuple(subjects.values()))
    except MissingSlot:
        return None


def _fitting(finding: Finding, findings: tuple[Finding, ...]) -> tuple[str, ...]:
    lesion = bool(by_name(finding.structure).lesion_of)
    if finding.status is Status.NOT_ASSESSABLE:
        return UNASSESSABLE
    if finding.status is Status.NOT_SEEN:
        return ABSENT_LESION if lesion else ABSENT_ORGAN
    if not finding.complete:
        return CUT_LESION if lesion else CUT
    if not lesion:
        return (*SEEN_ORGAN, "in_normal_range", "report_range")
    alone = sum(other.structure == finding.structure for other in findings) == 1
    return tuple(
        name
        for name in (*SEEN_LESION, *PARTS)
        if not (name == "lesion_lobes" and finding.lobes == 1)
        and not (name.endswith("_one") and not alone)
        and not (name.endswith(("_many", "_several")) and alone)
    )


def _place(finding: Finding) -> str:
    if finding.measurement("normal_low") is None:
        return "within"
    volume = _value(finding, "volume")
    return (
        "below"
        if volume < _value(finding, "normal_low")
        else "above"
        if volume > _value(finding, "normal_high")
        else "within"
    )


def _value(finding: Finding, quantity: str) -> float:
    measurement = finding.measurement(quantity)
    assert measurement is not None
    return measurement.value


def _organ(finding_id: str, name: str, random_source: random.Random) -> Finding:
    kind = random_source.choice(("seen", "seen", "seen", "cut", "not seen", "not assessable"))
    spoken = by_name(name).spoken
    if kind == "not seen":
        return Finding(
            id=finding_id, structure=name, status=Status.NOT_SEEN, why=f"The {spoken} was looked for in vain."
        )
    if kind == "not assessable":
        why = random_source.choice(
            (f"The scan does not reach the {spoken}.", "This model cannot segment it yet.", "It has 3 of 25 voxels.")
        )
        return Finding(id=finding_id, structure=name, status=Status.NOT_ASSESSABLE, why=why)
    first = random_source.randrange(0, 200)
    site = Site(side=by_name(name).side, first_slice=first, last_slice=first + random_source.randrange(0, 90))
    if kind == "cut":
        cut_at = tuple(random_source.sample(("superior", "inferior", "anterior"), random_source.choice((1, 2))))
        return Finding(
            id=finding_id, structure=name, status=Status.SEEN, site=site, complete=False, cut_at=cut_at, why="Cut."
        )
    return Finding(
        id=finding_id,
        structure=name,
        status=Status.SEEN,
        site=site,
        measurements=_measurements(finding_id, random_source, scale=40.0),
    )


def _lesion(finding_id: str, name: str, random_source: random.Random, *, count: int) -> Finding:
    if count == 0:
        why = random_source.choice(("", "What was marked is too little to count."))
        return Finding(id=finding_id, structure=name, status=Status.NOT_SEEN, why=why)
    organ = random_source.choice(by_name(name).lesion_of)
    first = random_source.randrange(0, 200)
    site = Site(
        organ=organ,
        side=by_name(organ).side,
        part=random_source.choice(("head", "body", "tail")) if organ == "pancreas" else None,
        segments=tuple(random_source.sample(range(1, 9), random_source.choice((1, 2)))) if organ == "liver" else (),
        first_slice=first,
        last_slice=first + random_source.randrange(0, 20),
    )
    if random_source.random() < 0.15:
        cut_at = (random_source.choice(("superior", "inferior")),)
        return Finding(
            id=finding_id, structure=name, status=Status.SEEN, site=site, complete=False, cut_at=cut_at, confidence=0.5
        )
    counted = Measurement(id=f"{finding_id}.count", quantity="count", value=count, unit="1", method="components")
    return Finding(
        id=finding_id,
        structure=name,
        status=Status.SEEN,
        site=site,
        confidence=random_source.uniform(0.3, 0.99),
        measurements=(
            *_measurements(finding_id, random_source, scale=1.0),
            counted,
            *_lesion_numbers(finding_id, random_source),
        ),
        attenuation=Attenuation(
            word=random_source.choice(("hypo", "iso", "hyper")), organ=organ, phase="portal", method="test"
        ),
        lobes=random_source.choice((1, 1, 2)),
    )


def _lesion_numbers(finding_id: str, random_source: random.Random) -> tuple[Measurement, ...]:
    """HU of core and organ, and degrees of two vessels."""
    rows = [("core_hu", random_source.uniform(-20, 150), "HU"), ("organ_hu", random_source.uniform(40, 200), "HU")]
    for vessel in random_source.sample(TOUCHED, 2):
        rows.append((f"touch_{vessel}", random_source.uniform(0, 360), "degrees"))
    return tuple(
        Measurement(id=f"{finding_id}.{quantity}", quantity=quantity, value=value, unit=unit, method="test")
        for quantity, value, unit in rows
    )


def _measurements(finding_id: str, random_source: random.Random, *, scale: float) -> tuple[Measurement, ...]:
    long_axis = random_source.uniform(4, 120)
    low = random_source.uniform(5, 900)
    rows = (
        ("volume", random_source.lognormvariate(2.5, 1.2) * scale, "mL"),
        ("long_axis", long_axis, "mm"),
        ("short_axis", long_axis * random_source.uniform(0.4, 0.9), "mm"),
        ("who", long_axis**2 * 0.6, "mm2"),
        ("hu_mean", random_source.uniform(-120, 250), "HU"),
        ("hu_sd", random_source.uniform(5, 60), "HU"),
        ("hu_p5", random_source.uniform(-200, -100), "HU"),
        ("hu_p50", random_source.uniform(-120, 250), "HU"),
        ("hu_p95", random_source.uniform(200, 300), "HU"),
        ("extent", random_source.uniform(5, 400), "mm"),
        ("normal_low", low, "mL"),
        ("normal_high", low * 2, "mL"),
    )
    at = random_source.randrange(0, 300)
    return tuple(
        Measurement(
            id=f"{finding_id}.{quantity}",
            quantity=quantity,
            value=value,
            unit=unit,
            method="test",
            slice_index=at if quantity == "long_axis" else None,
        )
        for quantity, value, unit in rows
    )


def _neighbours(findings: Sequence[Finding]) -> list[tuple[Finding, Finding]]:
    """Organs that were measured, each with the next."""
    measured = [row for row in findings if row.measurement("volume") and not by_name(row.structure).lesion_of]
    return list(pairwise(measured))


def _beside(findings: Sequence[Finding]) -> list[tuple[Finding, Finding]]:
    """Lesions that were seen, each with the first organ that was measured."""
    organs = [second for _, second in _neighbours(findings)][:1]
    lesions = [row for row in findings if row.measurement("volume") and by_name(row.structure).lesion_of]
    return [(lesion, organ) for organ in organs for lesion in lesions]


def _touching(findings: Sequence[Finding]) -> list[tuple[Finding, Finding]]:
    """The first two lesions that were measured."""
    lesions = [row for row in findings if row.measurement("volume") and by_name(row.structure).lesion_of]
    return [(lesions[0], lesions[1])] if len(lesions) > 1 else []


def _between(first: str, second: str, random_source: random.Random) -> tuple[Measurement, ...]:
    """Measurements of one finding to another."""
    rows = (
        ("distance", random_source.uniform(1, 90), "mm"),
        ("contact", random_source.uniform(0, 100), "%"),
        ("difference", random_source.uniform(1, 300), "mL"),
        ("ratio", random_source.uniform(0.2, 4), "1"),
    )
    return tuple(
        Measurement(id=f"{first}.{name}_{second}", quantity=f"{name}_{second}", value=value, unit=unit, method="test")
        for name, value, unit in rows
    )
