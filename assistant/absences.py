"""Absences: what a search that found nothing may say, and why nothing is said at all."""

from __future__ import annotations

import math

from assistant.records import Finding, Site, Status
from vision.scene import DERIVED_FROM, ZONES, Scene
from vision.structures import Structure, by_name

REMOVED = "it may have been removed by an operation"
ABSENT_BECAUSE = {
    **dict.fromkeys(("gall_bladder", "spleen", "stomach", "bladder", "rectum", "pancreas"), REMOVED),
    **dict.fromkeys(("kidney_left", "kidney_right"), "it may have been removed or never have formed"),
    **dict.fromkeys(("lung_left", "lung_right", "adrenal_gland_left", "adrenal_gland_right"), REMOVED),
    "prostate": "women have none, and it may have been removed by an operation",
}
"""What an absence can come from, said beside it."""
FINDS_TOO_FEW = "the model found none, but misses too many of them to say that there is none"
SEEN_WITH_CONTRAST = frozenset({"hepatic_vessel", "portal_vein_and_splenic_vein", "celiac_trunk"})


def withheld(finding_id: str, row: Structure, why: str) -> Finding:
    """A structure of which nothing can be said here."""
    return Finding(id=finding_id, structure=row.name, status=Status.NOT_ASSESSABLE, why=why, complete=False)


def nothing_found(scene: Scene, finding_id: str, row: Structure) -> Finding:
    """An empty search: not seen only where the structure, or all that a lesion can lie in, is in view."""
    if row.lesion_of:
        why = _why_not_searched(scene, row)
    elif scene.ability(row.name) == "derives":
        organ = DERIVED_FROM[row.name]
        found = "its landmarks were not found" if scene.see(organ).mask else "it was not found"
        why = f"the {by_name(organ).spoken} cannot be divided, as {found}"
    else:
        why = _why_no_absence(scene, row.name)
    status = Status.NOT_ASSESSABLE if why else Status.NOT_SEEN
    why = why or ABSENT_BECAUSE.get(row.name, "")
    return Finding(id=finding_id, structure=row.name, status=status, why=why, site=Site(side=row.side))


def why_withheld(scene: Scene, row: Structure) -> str:
    """Why nothing is said about a structure whatever a mask of it looks like, empty when it may be."""
    if scene.ability(row.name) == "cannot":
        return f"the model cannot {'search for' if row.kind == 'lesion' else 'segment'} it yet"
    if not scene.shows(row.name):
        return "the scan shows another part of the body"
    organs = [by_name(organ) for organ in row.lesion_of] or [row]
    if all(organ.side for organ in organs) and scene.side_doubt():
        return "left and right are in doubt in this CT"
    return ""


def _why_not_searched(scene: Scene, row: Structure) -> str:
    """Why an absence of lesions cannot be stated, empty when it can."""
    if scene.is_unenhanced():
        return "the CT was taken without contrast medium, in which many lesions cannot be told from their organ"
    if scene.reliable_from_mm(row.name) == math.inf:
        return FINDS_TOO_FEW
    for organ in row.lesion_of:
        if scene.ability(organ) == "cannot":
            return f"the model cannot segment the {by_name(organ).spoken} yet"
        sight = scene.see(organ)
        unseen = "" if sight.mask else _why_no_absence(scene, organ)
        if unseen:
            return f"the {by_name(organ).spoken}{unseen.removeprefix('it')}"
        if sight.cut_at:
            return f"the {by_name(organ).spoken} is cut by the {' and '.join(sight.cut_at)} end of the scan"
    return ""


def _why_no_absence(scene: Scene, name: str) -> str:
    """Why a structure that was not found cannot be called absent, empty when it can."""
    place = scene.whereabouts(name)
    if place == "out of view":
        return f"it lies outside the scan, which shows nothing of the {ZONES[name]}"
    if name in SEEN_WITH_CONTRAST and scene.is_unenhanced():
        return "it was not found in a CT without contrast medium, in which vessels cannot be told from their organ"
    return "" if place == "in view" else "it was not found and may lie outside the scan"
