"""Records that nobody measured: findings of all kinds, drawn so that sentences can be written over them."""

from __future__ import annotations

from random import Random

from assistant.grounding.lexicon import spoken
from assistant.records import Finding, Measurement, Site, Status
from vision.structures import GROUPS, by_name

_SEEN, _NOT_SEEN, _OUTSIDE = 0.7, 0.82, 0.92
"""Shares up to which an organ is seen, not seen, not assessable; the rest is cut."""
_TYPICAL_ML = {
    "liver": 1450, "spleen": 200, "pancreas": 80, "kidney_left": 160, "kidney_right": 155, "stomach": 350,
    "gall_bladder": 30, "bladder": 200, "prostate": 30, "adrenal_gland_left": 4, "adrenal_gland_right": 3.5,
    "lung_left": 2200, "lung_right": 2500, "colon": 600, "intestine": 500, "aorta": 120, "postcava": 80,
}  # fmt: skip
_OUTSIDE_WHY = (
    "it lies outside the scan, which shows nothing of the {zone}",
    "it was not found and may lie outside the scan",
)
_ZONES = ("chest", "pelvis", "upper abdomen")
_CUTS = (("superior",), ("inferior",), ("superior", "inferior"), ("inferior",))


def number_of(finding_id: str, quantity: str, value: float, unit: str) -> Measurement:
    """A measurement that was drawn."""
    return Measurement(id=f"{finding_id}.{quantity}", quantity=quantity, value=value, unit=unit, method="drawn")


def organ_finding(rng: Random, structure: str, finding_id: str) -> Finding:
    """An organ that is seen, not seen, not assessable or cut, with what is measured of it."""
    row, draw = by_name(structure), rng.random()
    site = Site(side=row.side)
    if _SEEN < draw < _NOT_SEEN:
        return Finding(id=finding_id, structure=structure, status=Status.NOT_SEEN, site=site)
    if _NOT_SEEN <= draw < _OUTSIDE:
        why = rng.choice(_OUTSIDE_WHY).format(zone=rng.choice(_ZONES))
        return Finding(
            id=finding_id, structure=structure, status=Status.NOT_ASSESSABLE, why=why, site=site, complete=False
        )
    first = rng.randint(0, 200)
    site = Site(side=row.side, first_slice=first, last_slice=first + rng.randint(3, 160))
    cut = draw >= _OUTSIDE
    numbers = [] if cut else [number_of(finding_id, "volume", _volume(rng, structure), "mL")]
    return Finding(
        id=finding_id, structure=structure, status=Status.SEEN, site=site, complete=not cut,
        cut_at=rng.choice(_CUTS) if cut else (), measurements=tuple(numbers),
    )  # fmt: skip


def _volume(rng: Random, structure: str) -> float:
    return round(_TYPICAL_ML.get(structure, 60) * rng.uniform(0.4, 1.9), 2)


def with_quantities(rng: Random, finding: Finding, quantities: tuple[str, ...]) -> Finding:
    """A seen finding with further measurements: 'hu', 'extent', 'long_axis', 'short_axis', 'who', 'diameter'."""
    if finding.status is not Status.SEEN:
        return finding
    numbers = list(finding.measurements)
    if "hu" in quantities:
        mean = rng.uniform(-60, 220)
        numbers += [
            number_of(finding.id, "hu_mean", mean, "HU"),
            number_of(finding.id, "hu_sd", rng.uniform(8, 60), "HU"),
            number_of(finding.id, "hu_p50", mean + rng.uniform(-4, 4), "HU"),
        ]
    if not finding.cut_at and "extent" in quantities:
        numbers.append(number_of(finding.id, "extent", rng.uniform(20, 320), "mm"))
    if not finding.cut_at and {"long_axis", "short_axis", "who", "diameter"} & set(quantities):
        numbers += _axes(rng, finding.id, rng.uniform(20, 160))
    return finding.model_copy(update={"measurements": tuple(numbers)})


def _axes(rng: Random, finding_id: str, long_mm: float) -> list[Measurement]:
    short_mm = long_mm * rng.uniform(0.5, 0.98)
    on_slice = rng.randint(5, 300)
    return [
        number_of(finding_id, "long_axis", long_mm, "mm").model_copy(update={"slice_index": on_slice}),
        number_of(finding_id, "short_axis", short_mm, "mm").model_copy(update={"slice_index": on_slice}),
        number_of(finding_id, "who", long_mm * short_mm, "mm2"),
    ]


def lesion_findings(rng: Random, structure: str, within: tuple[str, ...], first: int) -> list[Finding]:
    """No, one, two or three lesions of one kind; ids from F<first> on."""
    count = rng.choice((0, 0, 1, 1, 1, 2, 2, 3))
    if count == 0:
        status = Status.NOT_SEEN if rng.random() < 0.85 else Status.NOT_ASSESSABLE
        why = "" if status is Status.NOT_SEEN else "it was not found and may lie outside the scan"
        return [Finding(id=f"F{first}", structure=structure, status=status, why=why)]
    return [_lesion(rng, structure, within, f"F{first + n}") for n in range(count)]


def _lesion(rng: Random, structure: str, within: tuple[str, ...], finding_id: str) -> Finding:
    long_mm = rng.uniform(4, 90)
    axes = _axes(rng, finding_id, long_mm)
    volume = 0.00052 * long_mm * axes[1].value ** 2
    first = axes[0].slice_index or 0
    return Finding(
        id=finding_id, structure=structure, status=Status.SEEN,
        site=_site(rng, structure, within, first), confidence=round(rng.uniform(0.3, 0.99), 2),
        measurements=(number_of(finding_id, "volume", volume, "mL"), *axes),
    )  # fmt: skip


def _site(rng: Random, structure: str, within: tuple[str, ...], first: int) -> Site:
    organ = rng.choice(by_name(structure).lesion_of)
    sided = [name for name in within if by_name(name).side]
    if sided:
        organ = rng.choice(sided)
    part: str | None = None
    segments: tuple[int, ...] = ()
    if organ == "pancreas":
        part = rng.choice(within).removeprefix("pancreas_") if within else rng.choice(("head", "body", "tail"))
    elif organ == "liver":
        named = [int(name[-1]) for name in within if name in GROUPS["liver_segments"]]
        segments = (rng.choice(named or list(range(1, 9))),)
    last = first + rng.randint(1, 12)
    side = by_name(organ).side
    return Site(organ=organ, side=side, part=part, segments=segments, first_slice=first, last_slice=last)


def with_range(finding: Finding) -> tuple[Finding, str | None]:
    """A finding with the bounds of its normal volume and its place among them; None where there is none."""
    volume, normal = finding.measurement("volume"), by_name(finding.structure).normal_range("volume")
    if volume is None or normal is None:
        return finding, None
    bounds = [
        number_of(finding.id, key, v, "mL") for key, v in (("normal_low", normal.low), ("normal_high", normal.high))
    ]
    place = "below" if volume.value < normal.low else "above" if volume.value > normal.high else "within"
    return finding.model_copy(update={"measurements": (*finding.measurements, *bounds)}), place


def literal_name(finding: Finding) -> str:
    """The spoken name where a sentence may hold it: without digits; else empty."""
    name = spoken(finding.structure)
    return "" if any(character.isdigit() for character in name) else name
