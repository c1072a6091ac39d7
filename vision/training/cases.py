"""Prepared training cases: a CT and a label map on one 1.5 mm grid in RAS order, cached as arrays.

A case list is a JSON file: [{"ct": path, "labels": path, "order": "abdomenatlas1.1", "annotated": [names]}, ...] with
paths relative to the file. What a case does not annotate is unknown there, not background. "share" (default 1.0) is
how often a case is drawn relative to the others; "held_out": true keeps a case from training, for the validation
curve; "source" (default "real") says "phantom" or "pseudo" of labels that no person drew. A CT that is only to be
labelled by a run's own network annotates [] and needs neither labels nor order. A lesion that is annotated and not
there is known to be absent; tumours may be painted into the organs whose lesions are all annotated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vision.errors import UsageError
from vision.geometry import CTVolume, Mask, resample, working_grid
from vision.io import load_ct, load_labels
from vision.structures import STRUCTURES, by_name
from vision.training.overlay import lay_lesion

HU_KEPT = (-1024, 3071)


@dataclass(frozen=True)
class TrainingCase:
    """One case in RAS order at the fine spacing.

    `hu` (I, J, K) int16; `tissues` (I, J, K) uint8 codes; `members` (C, 256) bool says which codes belong to structure
    c; `annotated` (C,) bool says which structures are known. A voxel has one code, so what lies inside another
    structure (a vessel of the liver, a lesion) has a code of its own that both structures count as theirs. `kin` (256,)
    uint8 is the code whose contrast a code follows: a lesion keeps its step against its organ in another phase.
    """

    hu: np.ndarray
    tissues: np.ndarray
    members: np.ndarray
    annotated: np.ndarray
    kin: np.ndarray = field(default_factory=lambda: np.arange(256, dtype=np.uint8))

    def voxels_of(self, structure: int) -> np.ndarray:
        """(I, J, K) bool of structure number `structure`."""
        inside: np.ndarray = self.members[structure][self.tissues]
        return inside


def member_table(structures: Sequence[str], members: Mapping[str, Sequence[int]]) -> np.ndarray:
    """(C, 256) bool: the codes that belong to each structure."""
    table = np.zeros((len(structures), 256), dtype=bool)
    for row, name in zip(table, structures, strict=True):
        row[list(members.get(name, ()))] = True
    return table


def label_members() -> dict[str, tuple[int, ...]]:
    """The codes of each structure in label maps of this project: its own and those of its parts and vessels.

    Lesions have none here: `lay_lesion` gives them codes by the organ that each lies in.
    """
    rows = [row for row in STRUCTURES if row.label is not None and row.kind != "lesion"]
    inside = {
        row.name: tuple(
            other.label for other in rows if other.label is not None and row.name in (other.name, other.parent)
        )
        for row in rows
    }
    return {name: codes for name, codes in inside.items() if by_name(name).kind != "part"}


def prepare_case(
    ct: CTVolume, masks: Mapping[str, Mask], *, annotated: frozenset[str], structures: Sequence[str], spacing_mm: float
) -> TrainingCase:
    """Bring one CT and its masks to `spacing_mm`; an annotated structure without a mask is known to be absent."""
    grid = working_grid(ct.grid, spacing_mm)
    hu = resample(np.clip(ct.hu, *(ct.hu.dtype.type(edge) for edge in HU_KEPT)), ct.grid, grid)
    tissues = np.zeros(grid.shape, dtype=np.uint8)
    lesions = {}
    # What lies in an organ (a vessel, a part) is written after it, lesions last.
    for name in sorted(masks, key=lambda name: by_name(name).parent is not None):
        row = by_name(name)
        if row.label is None or not masks[name]:
            continue
        masks[name].require_grid(ct.grid)
        voxels = resample(masks[name].voxels.astype(np.float32), ct.grid, grid) >= 0.5
        if row.kind == "lesion":
            lesions[name] = voxels
        else:
            tissues[voxels] = row.label
    known = np.array([name in annotated for name in structures])
    case = TrainingCase(np.round(hu).astype(np.int16), tissues, member_table(structures, label_members()), known)
    for name, voxels in lesions.items():
        case = lay_lesion(case, name, voxels, structures=structures)
    return case


def save_case(case: TrainingCase, path: Path) -> None:
    """Cache a prepared case as a compressed .npz, written aside and renamed."""
    part = path.with_name(f"{path.name}.part.npz")
    np.savez_compressed(
        part, hu=case.hu, tissues=case.tissues, members=case.members, annotated=case.annotated, kin=case.kin
    )
    part.replace(path)


def read_case(path: Path) -> TrainingCase:
    """Read what `save_case` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        return TrainingCase(stored["hu"], stored["tissues"], stored["members"], stored["annotated"], stored["kin"])


@dataclass(frozen=True)
class CaseEntry:
    """One row of a case list, paths resolved."""

    ct: Path
    labels: Path | None
    order: str | None
    annotated: frozenset[str]
    share: float
    held_out: bool
    source: str


def read_case_list(case_list: Path) -> list[CaseEntry]:
    """The rows of a case list. Raises UsageError E_CASE_LIST for a malformed one."""
    try:
        rows = json.loads(case_list.read_text("utf-8"))
        entries = [
            CaseEntry(
                ct=case_list.parent / row["ct"],
                labels=case_list.parent / row["labels"] if row["annotated"] else None,
                order=row["order"] if row["annotated"] else None,
                annotated=frozenset(by_name(name).name for name in row["annotated"]),
                share=float(row.get("share", 1.0)),
                held_out=bool(row.get("held_out", False)),
                source=str(row.get("source", "real")),
            )
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError, UsageError) as error:
        raise UsageError(
            "E_CASE_LIST",
            f"The case list is not a list of training cases ({type(error).__name__}).",
            "Each entry needs ct, labels, order and annotated; see the docstring of vision/training/cases.py.",
        ) from None
    if not entries:
        raise UsageError("E_CASE_LIST", "The case list is empty.", "List at least one case.")
    return entries


def prepare_list(
    entries: Sequence[CaseEntry], cache: Path, *, structures: Sequence[str], spacing_mm: float
) -> list[TrainingCase]:
    """Prepare every case of a list, reusing what `cache` already holds."""
    cache.mkdir(parents=True, exist_ok=True)
    cases = []
    for number, entry in enumerate(entries):
        stored = cache / f"{number:04d}.npz"
        if not stored.exists():
            case = prepare_case(
                load_ct(entry.ct),
                {} if entry.labels is None else load_labels(entry.labels, order=entry.order),
                annotated=entry.annotated,
                structures=structures,
                spacing_mm=spacing_mm,
            )
            save_case(case, stored)
        cases.append(read_case(stored))
    return cases
