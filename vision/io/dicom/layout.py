"""Where the slices of a series lie, and the grid they come onto: as they are, or mended as a person chose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vision.errors import InputRefused
from vision.geometry import Grid, Notice
from vision.io.choices import Choices
from vision.io.dicom.slice import Slice
from vision.io.nifti.header import EXTENT_MM, SPACING_MM, check_size, make_grid, require_body
from vision.io.refusal import EXPORT_AGAIN, Limits, refusing
from vision.io.upright import put_upright, upright_grid

SPACING_TOLERANCE = 0.01
"""Jitter of the distance between slices, as a share of it, that counts as even."""
ROUNDING_MM, ROUNDING_STEPS = 0.06, 0.1
"""How far slices may lie from even places, in mm and in steps: what one decimal loses, with a margin."""
SIDEWAYS_MM = 0.5
"""How far slices may slide along their planes over the whole stack."""
WHOLE_STEPS = 0.05
"""How far a distance may be from a multiple of the usual one where slices are missing."""
MOST_MISSING = 0.2
LARGEST_HOLE_MM = 10.0
"""Tissue that may be missing between two slices; a larger hole hides what is to be found."""
RARE_SPACING = 0.1
TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Layout:
    """How a stack of planes becomes a volume on `grid`.

    `planes` (K,) are the places of the volume's planes counted in slices of the stack, a fraction lies between two;
    None for the slices as they are. `leaning` is the affine of a tilted stack, None for an upright one.
    """

    grid: Grid
    planes: np.ndarray | None
    leaning: np.ndarray | None
    notices: tuple[Notice, ...]

    def arrange(self, stack: np.ndarray) -> np.ndarray:
        """HU (I, J, slices) of the stack to HU on the grid; the number type is kept."""
        volume = stack if self.planes is None else between_slices(stack, self.planes)
        return volume if self.leaning is None else put_upright(volume, self.leaning, self.grid)


def layout_of(slices: Sequence[Slice], choices: Choices, limits: Limits) -> Layout:
    """Judge the places of slices that are sorted along their normal; mend what `choices` allow.

    Raises InputRefused: E_TILT, E_SLICES_MISSING, E_SPACING, E_SIZE, E_EXTENT.
    """
    first = slices[0]
    positions = np.array([one.position for one in slices])
    distances = positions @ first.normal
    tilt = _tilt_degrees(positions, first)
    if tilt and not choices.resample:
        raise InputRefused(
            "E_TILT",
            f"The gantry was tilted by {tilt:.1f} degrees; the slices form no upright volume.",
            "Use --resample to put it onto an upright grid.",
        )
    planes: np.ndarray | None = None
    step = float(distances[-1] - distances[0]) / (len(slices) - 1)
    notices: list[Notice] = []
    if not is_even(positions, first):
        planes, step, notices = _mended(distances, choices)
    affine = np.eye(4)
    affine[:3, 0] = np.multiply(first.orientation[:3], first.spacing[1])
    affine[:3, 1] = np.multiply(first.orientation[3:], first.spacing[0])
    affine[:3, 2] = np.multiply(first.normal, step)
    affine[:3, 3] = first.position
    shape = (first.shape[1], first.shape[0], len(slices) if planes is None else len(planes))
    if np.prod(shape) > limits.voxels:
        raise InputRefused(
            "E_SIZE", f"Even it would have {shape[0]} x {shape[1]} x {shape[2]} voxels.", "Crop the CT to the abdomen."
        )
    if not tilt:
        return Layout(_checked(make_grid(shape, TO_RAS @ affine)), planes, None, tuple(notices))
    affine[:3, 2] = (positions[-1] - positions[0]) * step / (distances[-1] - distances[0])
    leaning = TO_RAS @ affine
    text = f"The gantry was tilted by {tilt:.1f} degrees; the CT was resampled to an upright grid, as chosen."
    notices.append(Notice("W_TILT_RESAMPLED", text))
    return Layout(_checked(upright_grid(shape, leaning, limits)), planes, leaning, tuple(notices))


def _checked(grid: Grid) -> Grid:
    check_size(grid)
    require_body(grid)
    return grid


def _tilt_degrees(positions: np.ndarray, first: Slice) -> float:
    """The angle by which a stack of (n, 3) positions leans against its slices' normal, 0.0 for an upright one.

    Slices of a tilted gantry are parallel but slide along their planes, each by the same amount. Raises E_SPACING for
    slices that slide by anything else.
    """
    travel = positions - positions[0]
    heights = travel @ first.normal
    sideways = travel - np.outer(heights, first.normal)
    strayed = float(np.linalg.norm(sideways - np.outer(heights / heights[-1], sideways[-1]), axis=1).max())
    if strayed > SIDEWAYS_MM:
        raise InputRefused(
            "E_SPACING", f"The slices are shifted sideways by up to {strayed:.1f} mm against each other.", EXPORT_AGAIN
        )
    lean = float(np.linalg.norm(sideways[-1]))
    return float(np.degrees(np.arctan2(lean, heights[-1]))) if lean > SIDEWAYS_MM else 0.0


def is_even(positions: np.ndarray, first: Slice) -> bool:
    """Whether slices at (n, 3) positions, in order along the normal of one, lie at one distance but for rounding."""
    from highdicom.spatial import get_volume_positions

    with refusing("E_SPACING", "The slice positions cannot be read"):
        # Whether the stack leans is judged more strictly above; no cosine differs from 1 by more than 2.
        spacing, _ = get_volume_positions(
            positions.tolist(), first.orientation, rtol=SPACING_TOLERANCE, perpendicular_tol=3.0
        )
    if spacing is not None:
        return True
    heights = positions @ first.normal
    index = np.arange(len(heights)) - (len(heights) - 1) / 2
    around = heights - heights.mean()
    strayed = np.abs(around - index * (index @ around) / (index @ index)).max()
    return bool(strayed <= min(ROUNDING_MM, ROUNDING_STEPS * (heights[-1] - heights[0]) / (len(heights) - 1)))


def _mended(distances: np.ndarray, choices: Choices) -> tuple[np.ndarray, float, list[Notice]]:
    """Places of even planes counted in slices, their distance in mm: E_EXTENT, E_SLICES_MISSING, E_SPACING."""
    gaps = np.diff(distances)
    length = float(distances[-1] - distances[0])
    if length > EXTENT_MM[1]:
        raise InputRefused("E_EXTENT", f"The slices lie over {length:.4g} mm.", EXPORT_AGAIN)
    usual = float(np.median(gaps))
    steps = np.rint(gaps / usual).astype(int)
    missing = int(steps.sum()) - len(gaps)
    if steps.min() >= 1 and np.abs(gaps / usual - steps).max() < WHOLE_STEPS and missing:
        is_little = missing <= MOST_MISSING * (len(distances) + missing)
        if is_little or gaps.max() > SPACING_MM[1]:
            can_fill = is_little and float(gaps.max()) - usual <= LARGEST_HOLE_MM
            return _filled(distances, steps, choices, can_fill=can_fill)
    return _evened(distances, gaps, choices)


def _filled(
    distances: np.ndarray, steps: np.ndarray, choices: Choices, *, can_fill: bool
) -> tuple[np.ndarray, float, list[Notice]]:
    """Planes for the slices that are there and for those that are missing between them: E_SLICES_MISSING."""
    planes = np.concatenate([[*(index + np.arange(many) / many)] for index, many in enumerate(steps)] + [[len(steps)]])
    absent = np.interp(planes[planes % 1 > 0], range(len(distances)), distances)
    shown = ", ".join(f"{place:.1f}" for place in absent[:8]) + (", ..." if len(absent) > 8 else "")
    what = f"{len(absent)} of {len(planes)} slices, at {shown} mm along the stack,"
    if not can_fill:
        much = f"more than {LARGEST_HOLE_MM:g} mm of tissue in one place, or more than {MOST_MISSING:.0%} of the slices"
        raise InputRefused("E_SLICES_MISSING", f"{what} are missing: {much}.", EXPORT_AGAIN)
    if not choices.allow_gaps:
        raise InputRefused(
            "E_SLICES_MISSING", f"{what} are missing.", "Export the series again, or use --allow-gaps to fill them."
        )
    text = f"{what} were missing and were filled from their neighbours, as chosen."
    step = float(distances[-1] - distances[0]) / (len(planes) - 1)
    return planes, step, [Notice("W_GAPS_FILLED", text)]


def _evened(distances: np.ndarray, gaps: np.ndarray, choices: Choices) -> tuple[np.ndarray, float, list[Notice]]:
    """Planes at the smallest usual distance: E_SPACING."""
    what = f"The distance between slices varies from {gaps.min():.2f} to {gaps.max():.2f} mm."
    if gaps.max() > SPACING_MM[1]:
        raise InputRefused("E_SPACING", what, "Export a reconstruction with one spacing.")
    if not choices.resample:
        raise InputRefused("E_SPACING", what, "Use --resample, or export a reconstruction with one spacing.")
    step = float(np.quantile(gaps, RARE_SPACING, method="lower"))
    heights = distances - distances[0]
    planes = np.interp(np.arange(int(heights[-1] / step + 1e-6) + 1) * step, heights, range(len(heights)))
    text = f"The distance between slices varied; the CT was resampled to slices every {step:.3g} mm, as chosen."
    return planes, step, [Notice("W_RESAMPLED", text)]


def between_slices(stack: np.ndarray, planes: np.ndarray) -> np.ndarray:
    """Interpolate (I, J, slices) linearly at `planes` (K,), places counted in slices; whole places are copied."""
    volume = np.empty((*stack.shape[:2], len(planes)), dtype=stack.dtype, order="F")
    for index, place in enumerate(planes):
        below = int(place)
        share = float(place) - below
        if share < 1e-6:
            volume[:, :, index] = stack[:, :, below]
            continue
        mixed = (1 - share) * stack[:, :, below].astype(np.float32) + share * stack[:, :, below + 1]
        volume[:, :, index] = np.rint(mixed) if stack.dtype.kind == "i" else mixed
    return volume
