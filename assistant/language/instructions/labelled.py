"""What the masks of a labelled CT tell of visual questions: region, side of a kidney lesion, sizes that stand out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from assistant.language.instructions.cases import CASES_FILE, case_row, read_cases
from assistant.language.instructions.measured import records_of
from vision.errors import InputRefused
from vision.io.files.atomic import write_text
from vision.measure import volume_ml
from vision.segmenter import Progress, no_progress
from vision.structures import by_name

if TYPE_CHECKING:
    from vision.geometry import Mask

WHOLE_LUNG_ML = 1200.0
"""A lung smaller than this is only its base, and the CT no CT of the chest."""
SHRUNKEN_SHARE = 0.6
"""A kidney below its normal range and this share of the other looks shrunken."""
_UPPER, _PELVIC = (
    ("liver", "spleen", "kidney_left", "kidney_right"),
    ("bladder", "prostate", "femur_left", "femur_right"),
)
_REGIONS: Mapping[tuple[bool, ...], str] = MappingProxyType(
    {
        (True, False, False): "chest",
        (True, True, False): "chest and abdomen",
        (False, True, False): "upper abdomen",
        (False, True, True): "abdomen and pelvis",
        (False, False, True): "pelvis",
        (True, True, True): "chest, abdomen and pelvis",
    }
)


def write_labelled_cases(folders: Sequence[Path], out: Path, *, progress: Progress = no_progress) -> Path:
    """Write a list of cases (`read_cases`) for all labelled CTs in some folders, of those that tell anything.

    A CT is called by its path below its folder. What a cases.json of a folder knows already ('synthesize anatomy'
    writes how each CT was drawn) is kept, and comes before what masks tell.
    Raises InputRefused E_CASES when nothing is told; as `find_cases`, `read_reference` and `write_text`.
    """
    from vision.benchmark.layouts import find_cases, read_reference

    rows = []
    for folder in folders:
        known = _known(folder)
        cases = find_cases([folder])
        for number, case in enumerate(cases):
            progress("reading masks", number / len(cases))
            name = case.ct.relative_to(folder).as_posix()
            reference = read_reference(case)
            truth = {**truth_of_masks(reference.masks), **known.get(name, {})}
            if truth:
                records = records_of(reference.ct, reference.masks, side=truth.get("side"))
                rows.append(case_row(name, truth, records))
    if not rows:
        raise InputRefused("E_CASES", "The masks tell nothing of any CT.", "Give masks of whole organs.")
    progress("done", 1.0)
    return write_text(out, json.dumps(rows, indent=1) + "\n")


def _known(folder: Path) -> dict[str, Mapping[str, str]]:
    """What the folder's own list says of its CTs; nothing for a list without truth."""
    listed = folder / CASES_FILE
    if not listed.is_file():
        return {}
    try:
        return {case.ct: case.truth for case in read_cases(listed)}
    except InputRefused:
        return {}


def truth_of_masks(masks: Mapping[str, Mask]) -> dict[str, str]:
    """The word of each topic that masks decide; what is not annotated, or is cut by the scan, tells nothing."""
    truth: dict[str, str] = {}
    region = _region(masks)
    if region:
        truth["region"] = region
    side = _side(masks)
    if side:
        truth["side"] = side
    spleen = _whole_ml(masks, "spleen")
    if spleen:
        truth["spleen_size"] = {"below": "reduced", "within": "usual", "above": "increased"}[_place("spleen", spleen)]
    left, right = _whole_ml(masks, "kidney_left"), _whole_ml(masks, "kidney_right")
    if left and right:
        truth["kidney_size"] = _kidneys(left, right)
    return truth


def _region(masks: Mapping[str, Mask]) -> str | None:
    needed = {"lung_left", "lung_right", *_UPPER, "bladder", "femur_left", "femur_right"}
    if not needed <= masks.keys():
        return None
    lungs = all(volume_ml(masks[name]) > WHOLE_LUNG_ML for name in ("lung_left", "lung_right"))
    shown = tuple(sum(bool(masks.get(name)) for name in names) >= 2 for names in (_UPPER, _PELVIC))
    return _REGIONS.get((lungs, *shown))


def _side(masks: Mapping[str, Mask]) -> str | None:
    """The one kidney that holds lesions; None when both do, or neither."""
    lesion = masks.get("kidney_lesion")
    if not lesion or not {"kidney_left", "kidney_right"} <= masks.keys():
        return None
    held = [side for side in ("left", "right") if (masks[f"kidney_{side}"].voxels & lesion.voxels).any()]
    return held[0] if len(held) == 1 else None


def _kidneys(left_ml: float, right_ml: float) -> str:
    if left_ml < SHRUNKEN_SHARE * right_ml and _place("kidney_left", left_ml) == "below":
        return "left kidney looks shrunken"
    if right_ml < SHRUNKEN_SHARE * left_ml and _place("kidney_right", right_ml) == "below":
        return "right kidney looks shrunken"
    return "kidneys look alike in size"


def _place(structure: str, volume_ml: float) -> str:
    normal = by_name(structure).normal_range("volume")
    assert normal is not None
    return "below" if volume_ml < normal.low else "above" if volume_ml > normal.high else "within"


def _whole_ml(masks: Mapping[str, Mask], name: str) -> float | None:
    """The volume of a structure that no end of the scan cuts; None for others."""
    mask = masks.get(name)
    if mask is None or mask.box is None:
        return None
    up = mask.grid.axis_of(2)
    cut = mask.box.start[up] == 0 or mask.box.stop[up] == mask.grid.shape[up]
    return None if cut else volume_ml(mask)
