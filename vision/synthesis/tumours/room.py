"""Where a tumour may be: the organ, and the fat around it when it may stick out; and where its centre goes."""

from __future__ import annotations

import math

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from vision.errors import UsageError
from vision.geometry import box_around
from vision.synthesis.tumours.protocol import Growth, Organ, Settled, Spacing, Voxel

PLACING_STEP_MM = 1.5
FAT_HU = (-122.0, -20.0)
"""Mesenteric fat with its stranding (hu_and_sizes 5c); the low end also parts it from gas in CTs clipped at -125."""
SOFT_TISSUE_HU = (-30.0, 350.0)
WALL_HU = (25.0, 160.0)
NEAR_MM = 12.0
ROOM_SIDE = 2.6
"""A tumour that does not fit as a ball may stretch along the organ: within a box of this many radii there is room."""
ROOM_FACTOR = 1.2
FAT_REACH = 0.9
CREVICE_MM, CREVICE_SHARE = 4.0, 0.15
CENTRES = 5


def centres(
    organ: NDArray[np.bool_],
    spacing: Spacing,
    *,
    of: Organ,
    diameter_mm: float,
    exophytic: Growth,
    rng: np.random.Generator,
) -> list[Voxel]:
    """Five centres for a tumour, drawn evenly from where there is room for it; the first is the choice.

    In a solid organ the whole ball lies inside where it can; a longish organ (or a tumour nearly as large as its organ)
    needs room nearby to stretch into. What sticks out sits below the surface, and in the colon at the wall. Raises
    UsageError E_TUMOUR_ROOM when the organ is empty or too small.
    """
    spans = box_around(organ)
    if spans is None:
        raise no_room(diameter_mm)
    strides = [max(1, round(PLACING_STEP_MM / step)) for step in spacing]
    coarse = np.ascontiguousarray(organ[spans][tuple(slice(None, None, stride) for stride in strides)])
    steps = [stride * step for stride, step in zip(strides, spacing, strict=True)]
    depth = edt.edt(coarse, anisotropy=steps, black_border=True)
    radius = diameter_mm / 2
    fitting = depth >= radius
    if exophytic == "may_stick_out":
        fitting = (depth >= 0.15 * radius) & (depth <= 0.8 * radius) & _roomy(coarse, steps, radius, needed=0.6)
    elif of == "colon":
        fitting = (depth >= 0.3 * radius) & (depth <= 0.8 * radius) & _roomy(coarse, steps, radius, needed=ROOM_FACTOR)
    elif not fitting.any():
        fitting = (depth >= 0.35 * radius) & _roomy(coarse, steps, radius, needed=ROOM_FACTOR)
    places = np.flatnonzero(fitting & coarse)
    if not places.size:
        raise no_room(diameter_mm)
    chosen = np.unravel_index(rng.choice(places, size=CENTRES), coarse.shape)
    first = [span.start for span in spans]
    i, j, k = (axis * stride + start for axis, stride, start in zip(chosen, strides, first, strict=True))
    return [(int(a), int(b), int(c)) for a, b, c in zip(i, j, k, strict=True)]


def room_around(
    ct: NDArray[np.float32], organ: NDArray[np.bool_], spacing: Spacing, *, diameter_mm: float, exophytic: Growth
) -> NDArray[np.bool_]:
    """(I, J, K) bool where the tumour may be: the organ, and if it may stick out the fat near it, nothing else."""
    if exophytic == "inside":
        return organ
    near = edt.edt(~organ, anisotropy=spacing, black_border=False) <= FAT_REACH * diameter_mm / 2
    smooth = ndimage.gaussian_filter(ct, [0.8 / step for step in spacing], truncate=2.0)
    # Opened, so that neither the partial-volume layer of the organ nor strands in the fat count as other organs.
    others = ndimage.binary_dilation(ndimage.binary_opening((smooth > FAT_HU[1]) & ~organ)) & ~organ
    free = organ | (near & (smooth >= FAT_HU[0]) & ~others)
    return organ | _opened(free, spacing, min(CREVICE_MM, CREVICE_SHARE * diameter_mm))


def ends_with_organ(settled: Settled) -> bool:
    """Whether the organ's border is the tumour's, too: not where it grows into fat, nor in the colon, whose lumen is in
    its mask and whose wall is thinner than the error of a mask."""
    return settled.exophytic == "inside" and settled.organ != "colon"


def hu_near(
    ct: NDArray[np.float32], organ: NDArray[np.bool_], spacing: Spacing, centre: Voxel, *, of: Organ, diameter_mm: float
) -> float:
    """Median HU of the organ's soft tissue near a voxel: what a tumour there is told apart from.

    Of the kidney it is the upper quartile, the cortex. Of the colon it is the wall's, so neither gas nor fat nor
    contrast agent counts. Raises UsageError E_TUMOUR_ROOM when nothing near is soft tissue.
    """
    low, high = WALL_HU if of == "colon" else SOFT_TISSUE_HU
    reach = diameter_mm / 2 + NEAR_MM
    box = window(ct.shape, spacing, centre, reach)
    hu = ct[box][organ[box]]
    soft = hu[(hu > low) & (hu < high)]
    if not soft.size:
        raise no_room(diameter_mm)
    return float(np.percentile(soft, 75 if of == "kidney" else 50))


def window(shape: tuple[int, ...], spacing: Spacing, centre: Voxel, reach_mm: float) -> tuple[slice, slice, slice]:
    """The voxels within `reach_mm` of a centre along each axis, inside the array."""
    i, j, k = (
        slice(max(0, at - math.ceil(reach_mm / step)), min(count, at + math.ceil(reach_mm / step) + 1))
        for at, step, count in zip(centre, spacing, shape, strict=True)
    )
    return i, j, k


def no_room(diameter_mm: float) -> UsageError:
    """The refusal of a tumour for which the organ is too small."""
    return UsageError(
        "E_TUMOUR_ROOM",
        f"The organ has no room for a tumour of {diameter_mm:.0f} mm.",
        "Ask for a smaller one, let it stick out, or give a larger organ mask.",
    )


def _opened(voxels: NDArray[np.bool_], spacing: Spacing, radius_mm: float) -> NDArray[np.bool_]:
    """Morphological opening by a ball in mm: what is narrower than its diameter goes."""
    core = edt.edt(voxels, anisotropy=spacing, black_border=False) > radius_mm
    opened: NDArray[np.bool_] = edt.edt(~core, anisotropy=spacing, black_border=False) <= radius_mm
    return opened & voxels


def _roomy(organ: NDArray[np.bool_], spacing: list[float], radius: float, *, needed: float) -> NDArray[np.bool_]:
    """Where the organ fills `needed` times the ball's volume within a box of ROOM_SIDE radii."""
    sides = [max(1, round(ROOM_SIDE * radius / step)) for step in spacing]
    share = ndimage.uniform_filter(organ.astype(np.float32), sides, mode="constant")
    ball = 4 / 3 * math.pi / ROOM_SIDE**3
    roomy: NDArray[np.bool_] = share >= needed * ball
    return roomy
