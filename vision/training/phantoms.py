"""Analytic abdomens as training cases: a small share of every batch, so that the network knows the demo's world too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vision.io import write_ct, write_mask
from vision.phantom import make_phantom
from vision.structures import by_name

PHASES = ("portal_venous", "portal_venous", "late_arterial", "non_contrast")


def write_phantom_case(folder: Path, *, seed: int, spacing_mm: tuple[float, float, float]) -> frozenset[str]:
    """Write ct.nii.gz and segmentations/<structure>.nii.gz of one seed; returns the structures that it annotates.

    The contrast phase is drawn from PHASES by the seed. A folder that is complete already is left as it is.
    """
    phase = PHASES[int(np.random.default_rng(seed).integers(len(PHASES)))]
    phantom = make_phantom(seed=seed, spacing_mm=spacing_mm, phase=phase)
    (folder / "segmentations").mkdir(parents=True, exist_ok=True)
    for name, mask in phantom.masks.items():
        write_mask(mask, folder / "segmentations" / f"{name}.nii.gz")
    write_ct(phantom.ct, folder / "ct.nii.gz")
    return frozenset(phantom.masks)


def phantom_rows(
    out: Path, *, count: int, first_seed: int, spacing_mm: tuple[float, float, float]
) -> list[dict[str, Any]]:
    """Write `count` phantoms below `out` and return their rows for a case list, paths relative to `out`.

    A phantom annotates the organs that it is built of; its lesions and parts lie in organs that it annotates anyway.
    """
    rows = []
    for seed in range(first_seed, first_seed + count):
        folder = out / f"phantom_{seed}"
        drawn = write_phantom_case(folder, seed=seed, spacing_mm=spacing_mm)
        rows.append(
            {
                "ct": f"{folder.name}/ct.nii.gz",
                "labels": folder.name,
                "order": "abdomenatlas1.1",
                "annotated": sorted(name for name in drawn if by_name(name).kind in ("organ", "vessel")),
                "share": 0.05,
                "source": "phantom",
            }
        )
    return rows
