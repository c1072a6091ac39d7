"""Self-training: a run's own network labels CTs where it is sure, and the labels join the case list.

What a person annotated stays as it is; a structure that the network is not sure of stays unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from vision.geometry import Mask
from vision.io import load_ct, load_labels, write_label_map
from vision.models.coarse_to_fine import UniversalSegmenter
from vision.structures import by_name
from vision.training.cases import CaseEntry, read_case_list
from vision.training.export import read_run

SURE = 0.85
"""Mean probability inside a mask from which it is taken for true."""


def pseudo_rows(
    run: Path, cases: Path, out: Path, *, share: float, only: frozenset[str] = frozenset()
) -> list[dict[str, Any]]:
    """Write a label map for every CT of a case list below `out` and return rows for a case list beside them.

    `only` are the structures that the network may label, all of them when it is empty. Held-out cases stay out.
    Raises as `read_run` and `read_case_list`, UsageError E_STRUCTURE for a name that is not in the table.
    """
    wanted = frozenset(by_name(name).name for name in only)
    network, _, _ = read_run(run)
    segmenter = UniversalSegmenter(network, name="self")
    asked = segmenter.structures & wanted if wanted else segmenter.structures
    entries = [entry for entry in read_case_list(cases) if not entry.held_out]
    return [
        _row(segmenter, entry, out / f"pseudo_{number:03d}.nii.gz", asked=asked, share=share)
        for number, entry in enumerate(tqdm(entries, unit="CT", disable=None))
    ]


def _row(
    segmenter: UniversalSegmenter, entry: CaseEntry, path: Path, *, asked: frozenset[str], share: float
) -> dict[str, Any]:
    ct = load_ct(entry.ct)
    known = {} if entry.labels is None else load_labels(entry.labels, order=entry.order)
    encoding = segmenter.encode(ct)
    sure: dict[str, Mask] = {}
    for name in sorted(asked - entry.annotated):
        mask = segmenter.segment(encoding, name)
        if mask and mask.score is not None and mask.score >= SURE:
            sure[name] = mask
    write_label_map([*(_beside(mask, known) for mask in sure.values()), *known.values()], path)
    return {
        "ct": str(entry.ct.resolve()),
        "labels": path.name,
        "order": "abdomenatlas1.1",
        "annotated": sorted(entry.annotated | sure.keys()),
        "share": share,
        "source": "pseudo",
    }


def _beside(mask: Mask, known: Mapping[str, Mask]) -> Mask:
    """The mask without the voxels of other structures that a person annotated, but for the one that it is part of."""
    voxels = mask.voxels.copy()
    for name, other in known.items():
        if name != by_name(mask.structure).parent:
            voxels &= ~other.voxels
    return Mask(voxels, mask.grid, mask.structure)
