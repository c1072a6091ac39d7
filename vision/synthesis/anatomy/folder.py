"""A folder of drawn cases in AbdomenAtlas's layout, for people and for any trainer that reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from vision.errors import UsageError
from vision.geometry import CTVolume, Grid, Mask
from vision.io import write_ct, write_mask, write_text
from vision.synthesis.anatomy.complete import Anatomy
from vision.synthesis.anatomy.library import list_anatomies, read_anatomy
from vision.synthesis.anatomy.regrid import SPACING_MM
from vision.synthesis.anatomy.sheet import contact_sheet
from vision.synthesis.anatomy.synthesise import SyntheticCT, synthesise_ct
from vision.synthesis.anatomy.tissues import belongs_to

SHOWN = 8


def synthesise_folder(anatomies_folder: Path, out: Path, *, count: int, seed: int) -> Path:
    """Draw `count` CTs of the label maps in turn and write them below `out`; returns the list of cases.

    Each is `case_0001/ct.nii.gz` with `segmentations/<structure>.nii.gz` of what its map annotates. `cases.json`
    lists them as the training recipe reads them, `contact_sheet.png` shows the first eight, and
    `completed_anatomies` keeps the completed label maps for the next run. The same seed gives the same cases.
    Raises UsageError E_COUNT for a count below 1, E_ANATOMIES, InputRefused and ResourceError.
    """
    sources = list_anatomies(anatomies_folder)
    if count < 1 or not sources:
        raise UsageError("E_COUNT", "There is nothing to draw.", "Ask for at least 1 case of at least 1 label map.")
    rows, shown = [], []
    for number in range(count):
        anatomy = read_anatomy(anatomies_folder, sources[number % len(sources)], out / "completed_anatomies")
        case = synthesise_ct(anatomy, rng=np.random.default_rng([seed, number]))
        rows.append(write_case(case, anatomy, out / f"case_{number + 1:04d}"))
        if number < SHOWN:
            shown.append(case)
    contact_sheet(shown, out / "contact_sheet.png")
    return write_text(out / "cases.json", json.dumps(rows, indent=1) + "\n")


def write_case(case: SyntheticCT, anatomy: Anatomy, folder: Path) -> dict[str, Any]:
    """Write one drawn CT with the masks that its anatomy annotates; returns its row for a case list.

    Raises ResourceError when it cannot be written.
    """
    grid = Grid.from_spacing((case.hu.shape[0], case.hu.shape[1], case.hu.shape[2]), (SPACING_MM,) * 3)
    (folder / "segmentations").mkdir(parents=True, exist_ok=True)
    write_ct(CTVolume(case.hu, grid, {"source": "synthetic"}), folder / "ct.nii.gz")
    for name in sorted(anatomy.annotated):
        write_mask(Mask(belongs_to(case.tissues, name), grid, name), folder / "segmentations" / f"{name}.nii.gz")
    return {
        "ct": f"{folder.name}/ct.nii.gz",
        "labels": folder.name,
        "order": "abdomenatlas1.1",
        "annotated": sorted(anatomy.annotated),
        "drawn": dict(case.facts),
    }
