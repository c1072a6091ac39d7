"""The last step of the gate: judge the HU, gather the warnings, make the CTVolume."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vision.geometry import CTVolume, Grid, Notice, reorient_array
from vision.io.hu import HUHistogram, check_hu

COVERAGE_MM = 120.0
THICK_MM = 5.0
BODY_ABOVE_HU = -300
BODY_SHARE = 0.02


def judged(
    hu: np.ndarray, grid: Grid, *, facts: Mapping[str, str | float | int], notices: tuple[Notice, ...]
) -> CTVolume:
    """Make a CTVolume of (I, J, K) HU, with every warning. Raises what `check_hu` raises."""
    found = [*notices, *check_hu(hu, HUHistogram.of(hu))]
    up = grid.axis_of(2)
    step = grid.spacing_mm[up]
    thickness = max(step, float(facts.get("slice_thickness_mm", 0.0)))
    if thickness > THICK_MM:
        text = f"Slices are {thickness:g} mm thick: sizes along the body and small lesions are less certain."
        found.append(Notice("W_THICK_SLICES", text))
    covered = body_slices(hu, grid) * step
    if covered < COVERAGE_MM:
        text = f"Only {covered:.0f} mm of the body are covered: organs may be cut off or out of view."
        found.append(Notice("W_PARTIAL_COVERAGE", text))
    if "phase" not in facts:
        found.append(Notice("W_CONTRAST_UNKNOWN", "The file does not say in which contrast phase it was taken."))
    return CTVolume(hu, grid, facts, tuple(found))


def body_slices(hu: np.ndarray, grid: Grid) -> int:
    """How many axial slices show a body, by every fourth voxel in the plane."""
    _, order, signs = grid.reoriented("RAS")
    coarse = reorient_array(hu, order, signs)[::4, ::4]
    return int(np.count_nonzero((coarse > BODY_ABOVE_HU).mean(axis=(0, 1)) > BODY_SHARE))
