"""Cases to evaluate on: a folder with a CT and its reference masks, in one of two layouts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vision.errors import InputRefused, UsageError
from vision.geometry import CTVolume, Mask
from vision.io import load_ct, load_labels
from vision.measure import components, distance_mm
from vision.structures import by_name

CT_NAME = "ct.nii.gz"
LABELS_NAME = "labels.nii.gz"
SEGMENTATIONS = "segmentations"
COMBINED_NAME = "combined_labels.nii.gz"


@dataclass(frozen=True)
class EvaluationCase:
    """Where one case lies. `labels` is its label map, or the folder that holds segmentations/<name>.nii.gz.

    `annotated` are the structures known in it, None when that is what the reference itself holds.
    """

    name: str
    ct: Path
    labels: Path
    annotated: frozenset[str] | None = None


@dataclass(frozen=True)
class Reference:
    """An open case: the CT and one mask on its grid for each annotated structure, empty where it is known absent."""

    ct: CTVolume
    masks: dict[str, Mask]


def find_cases(folders: Sequence[Path], *, annotated: frozenset[str] | None = None) -> list[EvaluationCase]:
    """The cases in some folders, each a case itself or a folder of cases, sorted by name within a folder.

    A case holds ct.nii.gz with labels.nii.gz (a label map), or with segmentations/<name>.nii.gz or
    combined_labels.nii.gz (AbdomenAtlas). `annotated` may use any name of a structure and holds for all cases.
    Raises InputRefused for a folder that is missing or holds no case, UsageError for an unknown structure or
    two cases of one name.
    """
    known = None if annotated is None else frozenset(by_name(name).name for name in annotated)
    found = []
    for number, folder in enumerate(folders, start=1):
        if not folder.is_dir():
            raise InputRefused("E_NOT_FOUND", f"Input {number} is not a folder.", "Give case folders.")
        inside = (
            [folder] if (folder / CT_NAME).is_file() else sorted(path for path in folder.iterdir() if path.is_dir())
        )
        cases = [case for path in inside if (case := _case(path, known)) is not None]
        if not cases:
            raise InputRefused(
                "E_NO_CASE",
                f"Input {number} holds no case with a reference.",
                f"A case is a folder with {CT_NAME} and {LABELS_NAME} or {SEGMENTATIONS}/<structure>.nii.gz.",
            )
        found += cases
    twice = sum(count > 1 for count in Counter(case.name for case in found).values())
    if twice:
        raise UsageError("E_CASE_TWICE", f"{twice} names are those of several cases.", "Rename or leave out some.")
    return found


def read_reference(case: EvaluationCase, *, order: str | None) -> Reference:
    """Open a case; `order` names the integers of a label map, as in `vision.io.load_labels`.

    An organ's mask is given the lesions that lie in it, because a tumour of the liver is liver too.
    Raises InputRefused for files that cannot be read or masks that do not lie on the CT, UsageError for the order.
    """
    ct = load_ct(case.ct)
    masks = load_labels(case.labels, order=order)
    for name, mask in masks.items():
        if not mask.grid.matches(ct.grid):
            raise InputRefused("E_GRID", f"The reference of {name} does not lie on its CT.", "Resample it first.")
    whole = {name: _with_lesions(mask, masks) for name, mask in masks.items()}
    known = whole.keys() if case.annotated is None else case.annotated
    empty = np.zeros(ct.grid.shape, dtype=bool)
    return Reference(ct, {name: whole.get(name, Mask(empty, ct.grid, name)) for name in sorted(known)})


def _case(folder: Path, annotated: frozenset[str] | None) -> EvaluationCase | None:
    ct = folder / CT_NAME
    if not ct.is_file():
        return None
    if (folder / LABELS_NAME).is_file():
        return EvaluationCase(folder.name, ct, folder / LABELS_NAME, annotated)
    if (folder / SEGMENTATIONS).is_dir() or (folder / COMBINED_NAME).is_file():
        return EvaluationCase(folder.name, ct, folder, annotated)
    return None


def _with_lesions(organ: Mask, masks: dict[str, Mask]) -> Mask:
    """An organ's mask with every piece of a lesion that can lie in it and is nearest to it among its possible hosts."""
    voxels = organ.voxels
    for lesion in masks.values():
        hosts = [masks[name] for name in by_name(lesion.structure).lesion_of if masks.get(name)]
        if organ.structure not in (host.structure for host in hosts):
            continue
        for piece in components(lesion):
            nearest = hosts[0] if len(hosts) == 1 else min(hosts, key=lambda host: distance_mm(piece, host))
            if nearest is organ:
                voxels = voxels | piece.voxels
    return organ if voxels is organ.voxels else Mask(voxels, organ.grid, organ.structure, organ.score)
