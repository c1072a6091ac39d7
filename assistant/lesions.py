"""Lesions: what is put on record of one beside its size: place, attenuation, shape, vessels, what it may be."""

from __future__ import annotations

import math

from assistant.absences import SEEN_WITH_CONTRAST
from assistant.grounding import RELIABLE_FROM
from assistant.measurements import measurement
from assistant.records import Attenuation, Classification, Finding, Measurement, Possibility, Site, Status
from vision.geometry import Mask
from vision.lesion_types import host_of, rank_types
from vision.measure import (
    against_organ,
    contact,
    distance_mm,
    intensity,
    kidney_third,
    lesion_core,
    lowest_smoothed_hu,
    slice_range,
)
from vision.scene import Scene
from vision.structures import Structure, by_name

PART_SHARE = 0.1
"""A lesion lies in each liver segment that holds at least this share of it (as in RadGPT's structured reports)."""
PART_WORDS = {"pancreas_head": "head", "pancreas_body": "body", "pancreas_tail": "tail"}
TOUCHING_MM = 2.0
"""Lesions so near each other, or with one slice between them, may be one. Engineering choice."""
VESSELS = (
    "aorta",
    "postcava",
    "portal_vein_and_splenic_vein",
    "celiac_trunk",
    "superior_mesenteric_artery",
    "superior_mesenteric_vein",
)
"""Vessels whose contact with a pancreatic lesion decides what can be operated on; the model may segment only some."""
CONTACT_METHOD = "degrees of the vessel's wall that the lesion touches, the most in one axial slice"
TYPES_METHOD = "points of signs in what was measured (vision/lesion_types/signs.csv); no probability"


def site_of(scene: Scene, row: Structure, piece: Mask) -> Site:
    """Where a lesion lies: organ and side, part, segments and slices."""
    first_last = slice_range(piece)
    organs = scene.part_of(piece, row.lesion_of)
    organ = next(iter(organs), row.lesion_of[0] if len(row.lesion_of) == 1 else None)
    return Site(
        organ=organ,
        side=by_name(organ).side if organ else None,
        part=_part(scene, piece, organ),
        segments=_segments(scene, piece) if organ == "liver" else (),
        first_slice=first_last[0] if first_last else None,
        last_slice=first_last[1] if first_last else None,
    )


def _part(scene: Scene, piece: Mask, organ: str | None) -> str | None:
    """The part of the pancreas, or the third of a kidney that is whole in the scan, that holds most of a lesion."""
    if organ == "pancreas":
        shares = scene.part_of(piece, tuple(PART_WORDS))
        return PART_WORDS[next(iter(shares))] if shares else None
    if organ is not None and by_name(organ).pair == "kidneys" and not scene.see(organ).cut_at:
        return kidney_third(scene.see(organ).mask, piece)
    return None


def _segments(scene: Scene, piece: Mask) -> tuple[int, ...]:
    """Liver segments, largest share first."""
    shares = scene.part_of(piece, tuple(f"liver_segment_{number}" for number in range(1, 9)))
    return tuple(int(name[-1]) for name, share in shares.items() if share >= PART_SHARE)


def attenuation_of(scene: Scene, piece: Mask, finding: Finding) -> tuple[Attenuation, tuple[Measurement, ...]] | None:
    """A lesion's attenuation against its organ with both numbers; None where no tissue of it can be measured."""
    organ = finding.site.organ
    tissue = None if organ is None else scene.tissue(organ)
    found = None if tissue is None else against_organ(scene.ct, piece, tissue)
    if organ is None or found is None:
        return None
    method = f"core against tissue of the {by_name(organ).spoken}"
    numbers = (
        measurement(finding.id, "core_hu", found.lesion_hu, unit="HU", method=found.lesion_method),
        measurement(finding.id, "organ_hu", found.organ_hu, unit="HU", method=found.organ_method),
    )
    return Attenuation(word=found.word, organ=organ, phase=scene.phase(), method=method), numbers


def reliable_from(scene: Scene, finding: Finding) -> tuple[Measurement, ...]:
    """How large a lesion must be to be found reliably, where a search was made and the model's description says it."""
    least = scene.reliable_from_mm(finding.structure)
    if least is None or math.isinf(least) or finding.status is Status.NOT_ASSESSABLE:
        return ()
    method = "smallest long axis that the model finds reliably, by its description"
    return (measurement(finding.id, RELIABLE_FROM, least, unit="mm", method=method),)


def may_be_one(first: Mask, second: Mask) -> bool:
    """Whether two lesions overlap, touch or nearly touch."""
    if first.box is None or second.box is None:
        return False
    spacing = first.grid.spacing_mm
    near = max(TOUCHING_MM, spacing[first.grid.axis_of(2)])
    for start, stop, other_start, other_stop, step in zip(
        first.box.start, first.box.stop, second.box.start, second.box.stop, spacing, strict=True
    ):
        if max(start - other_stop, other_start - stop) * step > near:
            return False
    return distance_mm(first, second) <= near


def contacts_of(scene: Scene, piece: Mask, finding: Finding) -> tuple[tuple[Measurement, ...], tuple[str, ...]]:
    """Degrees of contact with each of `VESSELS` that is seen, and those that could not be assessed."""
    measured, unknown = [], []
    for vessel in VESSELS:
        unsure = vessel in SEEN_WITH_CONTRAST and scene.is_unenhanced()
        mask = scene.see(vessel).mask if scene.ability(vessel) == "segments" and not unsure else None
        if not mask:
            unknown.append(vessel)
        else:
            degrees = contact(piece, mask).degrees
            quantity = f"touch_{vessel}"
            measured.append(measurement(finding.id, quantity, degrees, unit="degrees", method=CONTACT_METHOD))
    return tuple(measured), tuple(unknown)


def type_numbers(scene: Scene, piece: Mask, finding: Finding, *, count: int) -> tuple[Measurement, ...]:
    """What the types of a lesion are read from and is not on record yet."""
    core, lowest = lesion_core(scene.ct, piece), lowest_smoothed_hu(scene.ct, piece)
    aorta = scene.see("aorta").mask if scene.ability("aorta") == "segments" else None
    blood = None if not aorta else intensity(scene.ct, aorta)
    made = [measurement(finding.id, "count", count, unit="1", method="separate pieces of the mask")]
    if core is not None:
        made.append(measurement(finding.id, "core_hu", core[0].mean, unit="HU", method=core[1]))
    if blood is not None:
        made.append(measurement(finding.id, "aorta_hu", blood.p50, unit="HU", method="median of the aorta"))
    if lowest is not None:
        method = "5th percentile of the core, each voxel averaged with its neighbours"
        made.append(measurement(finding.id, "lowest_hu", lowest, unit="HU", method=method))
    return tuple(made)


def classified(scene: Scene, finding: Finding) -> Classification | None:
    """What a lesion may be by its measurements; None in an organ of which the table knows no types."""
    row = by_name(finding.structure)
    organ = finding.site.organ or (row.lesion_of[0] if row.lesion_of else "")
    phase = scene.phase()
    ranking = rank_types(host_of(organ), _features(finding), phase)
    possibilities = tuple(
        Possibility(
            type=each.type.name,
            points=each.points,
            supports=tuple(sign.name for sign in each.supports),
            against=tuple(sign.name for sign in each.against),
        )
        for each in ranking.possible
    )
    if not possibilities:
        return None
    return Classification(
        possibilities=possibilities,
        phase=phase,
        phase_estimated=phase != "unknown" and "phase" not in scene.ct.facts,
        open=ranking.open,
        method=TYPES_METHOD,
    )


def _features(finding: Finding) -> dict[str, float]:
    """The features of `vision.lesion_types` that are on record."""
    values = {quantity: m.value for m in finding.measurements if (quantity := m.quantity)}
    core = values.get("core_hu")
    differences = {"difference": "organ_hu", "blood": "aorta_hu"}
    named = {"core": "core_hu", "fat": "lowest_hu", "size": "long_axis", "number": "count"}
    features = {feature: values[quantity] for feature, quantity in named.items() if quantity in values}
    if core is not None:
        features |= {feature: core - values[other] for feature, other in differences.items() if other in values}
    return features | {"cyst": float(finding.structure.endswith("_cyst"))}
