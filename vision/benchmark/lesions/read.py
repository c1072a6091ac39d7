"""Read lesions and how sure a model is of each voxel: masks that may number their lesions, and probability maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vision.benchmark.layouts import EvaluationCase, Reference
from vision.benchmark.lesions.lesion import Lesion, connected_lesions, numbered_lesions
from vision.errors import InputRefused
from vision.geometry import Grid
from vision.io import ASK, LIMITS, load_integers
from vision.io.files.entries import file_entry, require_readable
from vision.io.files.stream import ByteStream
from vision.io.nifti.volume import read_nifti
from vision.io.refusal import refusing

ROUNDING = 1e-3
"""How far above 1 a stored probability may lie."""


def reference_lesions(case: EvaluationCase, reference: Reference, structure: str) -> list[Lesion]:
    """The lesions of one structure of an open case, told apart by their numbers where its mask file has some.

    Raises what `vision.io.load_integers` raises.
    """
    if structure in case.files:
        return lesions_of_files(case.files[structure], reference.ct.grid, structure)
    return connected_lesions(reference.masks[structure])


def lesions_of_files(files: Sequence[Path], grid: Grid, structure: str) -> list[Lesion]:
    """The lesions in the mask files of one structure, largest first.

    Raises InputRefused E_GRID for a file that does not lie on `grid`, and what `vision.io.load_integers` raises.
    """
    lesions: list[Lesion] = []
    for file in files:
        labels, stored = load_integers(file)
        require_same(stored, grid, structure)
        lesions += numbered_lesions(labels, grid, structure)
    return sorted(lesions, key=lambda lesion: -lesion.count)


def load_probabilities(path: Path) -> tuple[np.ndarray, Grid]:
    """A probability map (I, J, K) float32 in [0, 1] and its grid.

    Raises InputRefused E_PROBABILITY for other values, and what the NIfTI gate raises.
    """
    require_readable(path)
    with refusing("E_CORRUPT", "A probability map cannot be read"), file_entry(path).stream() as file:
        stored = read_nifti(ByteStream(file, LIMITS.bytes), choices=ASK, limits=LIMITS)
    values = stored.voxels.astype(np.float32) * np.float32(stored.slope) + np.float32(stored.intercept)
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high) and low >= -ROUNDING and high <= 1 + ROUNDING):
        raise InputRefused(
            "E_PROBABILITY",
            "A probability map holds values outside 0 to 1.",
            "Write what the model says of each voxel as numbers from 0 to 1.",
        )
    return np.clip(values, 0.0, 1.0), stored.grid


def require_same(found: Grid, grid: Grid, structure: str) -> None:
    """Raise InputRefused E_GRID unless a mask or map of a structure lies on the CT."""
    if not found.matches(grid):
        raise InputRefused("E_GRID", f"The lesions of {structure} do not lie on their CT.", "Resample them first.")
