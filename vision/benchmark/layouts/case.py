"""A case to evaluate on: where its CT is, how its reference masks are read, and what is annotated in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vision.benchmark.layouts.references import ReferenceReader
from vision.errors import InputRefused
from vision.geometry import CTVolume, Mask
from vision.io import load_ct
from vision.measure import components, distance_mm
from vision.structures import STRUCTURES, by_name


@dataclass(frozen=True)
class EvaluationCase:
    """Where one case lies. Nothing of it is read before `read_reference`."""

    name: str
    ct: Path
    read: ReferenceReader
    annotated: frozenset[str] | None = None
    """The structures known in it, None when that is what a label map holds and nothing else says so."""
    unnamed: int = 0
    """Masks or labels of its reference that are of something this project has no name for."""
    files: Mapping[str, tuple[Path, ...]] = field(default_factory=dict, hash=False)
    """The mask files of each structure, where it has files of its own; those of lesions may number them."""


@dataclass(frozen=True)
class Reference:
    """An open case: the CT and one mask on its grid for each annotated structure, empty where it is known absent.

    `annotated` may hold more structures than were asked for in `masks`.
    """

    ct: CTVolume
    masks: dict[str, Mask]
    annotated: frozenset[str]


def read_reference(case: EvaluationCase, structures: frozenset[str] | None = None) -> Reference:
    """Open a case, with the masks of all annotated structures or only of those among `structures`.

    An organ's mask is given the lesions that lie in it, because a tumour of the liver is liver too.
    Raises InputRefused for files that cannot be read or masks that do not lie on the CT, UsageError for the order.
    """
    ct = load_ct(case.ct)
    masks = case.read(None if structures is None else structures | _lesions_in(structures))
    for name, mask in masks.items():
        if not mask.grid.matches(ct.grid):
            raise InputRefused("E_GRID", f"The reference of {name} does not lie on its CT.", "Resample it first.")
    annotated = frozenset(masks) if case.annotated is None else case.annotated
    empty = np.zeros(ct.grid.shape, dtype=bool)
    return Reference(
        ct,
        {
            name: _with_lesions(masks[name], masks) if name in masks else Mask(empty, ct.grid, name)
            for name in sorted(annotated if structures is None else annotated & structures)
        },
        annotated,
    )


def _lesions_in(structures: frozenset[str]) -> frozenset[str]:
    """The lesions that can lie in some organs, and the other organs that they can lie in."""
    rows = [row for row in STRUCTURES if structures & {*row.lesion_of}]
    return frozenset(name for row in rows for name in (row.name, *row.lesion_of))


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
