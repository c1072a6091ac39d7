"""The same patient presented otherwise: other axes, spacing, slices or HU, one at a time. Values in memory only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from vision.geometry import CTVolume, Grid, Mask, cropped_grid, reorient_array, resample

Kind = Literal["unchanged", "axes", "spacing", "slices", "HU"]
AXES = ("RAS", "LPI", "ARS", "SPR", "PIL", "ASL")
IN_PLANE_MM = (0.7, 1.5, 3.0)
SLICES_MM = (1.0, 2.5, 5.0)
CLIPPED_HU = (-125.0, 275.0)
"""The window in which several public abdomens were stored as 8 bits."""
UP_DOWN = 2


@dataclass(frozen=True)
class Presentation:
    """One way to present a CT: what is changed, how it is called, and the change itself."""

    kind: Kind
    name: str
    present: Callable[[CTVolume], CTVolume]


def unchanged() -> Presentation:
    """The CT as it is, that the others are compared with."""
    return Presentation("unchanged", "as it is", lambda ct: ct)


def presentations() -> tuple[Presentation, ...]:
    """Six of the 48 orders of axes, three spacings in the plane, three slice thicknesses, and HU clipped to 8 bits."""
    return (
        *(Presentation("axes", f"axes {codes}", partial(reordered, axcodes=codes)) for codes in AXES),
        *(Presentation("spacing", f"pixels of {mm:g} mm", partial(respaced, pixel_mm=mm)) for mm in IN_PLANE_MM),
        *(Presentation("slices", f"slices of {mm:g} mm", partial(resliced, slice_mm=mm)) for mm in SLICES_MM),
        Presentation("HU", f"HU {CLIPPED_HU[0]:g} to {CLIPPED_HU[1]:g} in 8 bits", clipped),
    )


def reordered(ct: CTVolume, axcodes: str) -> CTVolume:
    """The same voxels with axes that grow towards `axcodes`. Raises ValueError as `Grid.reoriented`."""
    grid, order, signs = ct.grid.reoriented(axcodes)
    return CTVolume(np.ascontiguousarray(reorient_array(ct.hu, order, signs)), grid, ct.facts, ct.warnings)


def respaced(ct: CTVolume, pixel_mm: float) -> CTVolume:
    """The same slices with pixels of another size: averaged where they grow, interpolated where they shrink."""
    up_down = ct.grid.axis_of(UP_DOWN)
    spacing = [step if axis == up_down else pixel_mm for axis, step in enumerate(ct.grid.spacing_mm)]
    grid = spaced_grid(ct.grid, (spacing[0], spacing[1], spacing[2]))
    return CTVolume(_like(resample(ct.hu, ct.grid, grid), ct), grid, ct.facts, ct.warnings)


def resliced(ct: CTVolume, slice_mm: float) -> CTVolume:
    """The same pixels in slices of another thickness, side by side.

    A thicker slice is the mean of what lies in it, each old slice weighted by its share; thinner ones are
    interpolated linearly, so they show no more than was scanned.
    """
    axis = ct.grid.axis_of(UP_DOWN)
    old_mm = ct.grid.spacing_mm[axis]
    spacing = [slice_mm if a == axis else step for a, step in enumerate(ct.grid.spacing_mm)]
    grid = spaced_grid(ct.grid, (spacing[0], spacing[1], spacing[2]))
    if slice_mm <= old_mm:
        hu = resample(ct.hu, ct.grid, grid)
    else:
        middles = ct.grid.to_ijk(grid.to_mm(np.eye(3)[axis] * np.arange(grid.shape[axis])[:, None]))[:, axis]
        weights = slab_weights(middles, ct.grid.shape[axis], slice_mm / old_mm)
        hu = np.moveaxis(np.tensordot(weights, ct.hu.astype(np.float32), axes=(1, axis)), 0, axis)
    facts = {**ct.facts, "slice_thickness_mm": slice_mm} if "slice_thickness_mm" in ct.facts else ct.facts
    return CTVolume(_like(hu, ct), grid, facts, ct.warnings)


def clipped(ct: CTVolume) -> CTVolume:
    """HU in the 256 steps of `CLIPPED_HU`: air, lung, bone and dense contrast medium are gone."""
    low, high = CLIPPED_HU
    steps = np.rint((np.clip(ct.hu.astype(np.float32), low, high) - low) * (255 / (high - low)))
    return CTVolume(_like(low + steps * ((high - low) / 255), ct), ct.grid, ct.facts, ct.warnings)


def spaced_grid(grid: Grid, spacing_mm: tuple[float, float, float]) -> Grid:
    """A grid with the same axes and centre and another spacing, of as many whole voxels as cover the box best."""
    steps = np.asarray(spacing_mm)
    shape = np.maximum(1, np.rint(np.asarray(grid.shape) * grid.spacing_mm / steps)).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = grid.directions * steps
    affine[:3, 3] = grid.to_mm((np.asarray(grid.shape) - 1) / 2) - affine[:3, :3] @ ((shape - 1) / 2)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def slab_weights(middles: np.ndarray, count: int, width: float) -> np.ndarray:
    """(S, count) float32 weights: the share of each of `count` samples in slabs of `width` samples around `middles`.

    A slab that reaches beyond the samples is the mean of the part within, at least of the sample next to it.
    """
    inside = np.clip(middles, 0, count - 1)[:, None]
    edges = np.arange(count)[None, :]
    shared = np.minimum(inside + width / 2, edges + 0.5) - np.maximum(inside - width / 2, edges - 0.5)
    weights = np.maximum(shared, 0.0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def carried(mask: Mask, grid: Grid) -> Mask:
    """A mask on another grid of the same axes: at least half of a voxel lies in it. The same lattice loses nothing."""
    voxels = np.zeros(grid.shape, dtype=bool)
    if mask.box is None:
        return Mask(voxels, grid, mask.structure, mask.score)
    margin = np.ceil(2 * max(grid.spacing_mm) / np.asarray(mask.grid.spacing_mm)).astype(int)
    start = np.maximum(np.asarray(mask.box.start) - margin, 0)
    stop = np.minimum(np.asarray(mask.box.stop) + margin, mask.grid.shape)
    corners = np.stack(np.meshgrid(*zip(start - 0.5, stop - 0.5, strict=True)), -1).reshape(-1, 3)
    reached = grid.to_ijk(mask.grid.to_mm(corners))
    low = np.clip(np.floor(reached.min(axis=0)).astype(int), 0, np.asarray(grid.shape) - 1)
    high = np.clip(np.ceil(reached.max(axis=0)).astype(int) + 1, low + 1, grid.shape)
    source = cropped_grid(mask.grid, _three(start), _three(stop))
    inside = mask.voxels[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    share = resample(inside, source, cropped_grid(grid, _three(low), _three(high)))
    voxels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = share >= 0.5
    return Mask(voxels, grid, mask.structure, mask.score)


def _three(values: np.ndarray) -> tuple[int, int, int]:
    return int(values[0]), int(values[1]), int(values[2])


def _like(hu: np.ndarray, ct: CTVolume) -> np.ndarray:
    """HU in the type of a CT's own, rounded where these are whole numbers."""
    return np.rint(hu).astype(np.int16) if ct.hu.dtype == np.int16 else hu.astype(np.float32)
