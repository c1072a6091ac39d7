"""CTs to time a model on: an analytic abdomen in as many voxels as a real one, and any number of slices of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vision.errors import UsageError
from vision.geometry import CTVolume, Grid, resample
from vision.io.files.atomic import writing
from vision.phantom import make_phantom

SHAPE = (512, 512, 300)
SPACING_MM = 1.0
DRAWN_MM = 3.0
"""The phantom is drawn at this voxel size and interpolated; its noise is laid on at the final one."""
NOISE_HU = 12.0
LOWEST_HU = -1024.0


def make_speed_ct(shape: tuple[int, int, int] = SHAPE, *, spacing_mm: float = SPACING_MM) -> CTVolume:
    """An abdomen in air, int16, laid out in memory as NIfTI is read: the first axis runs fastest.

    Raises UsageError E_SHAPE for fewer than 16 voxels along an axis.
    """
    if min(shape) < 16:
        raise UsageError("E_SHAPE", f"A CT of {shape} voxels is too small to time.", "Give 16 or more along each axis.")
    coarse = tuple(max(8, round(n * spacing_mm / DRAWN_MM)) for n in shape)
    drawn = make_phantom(
        seed=0, spacing_mm=(DRAWN_MM, DRAWN_MM, DRAWN_MM), shape=(coarse[0], coarse[1], coarse[2]), lesions=()
    ).ct
    corner = drawn.grid.to_mm(np.full(3, spacing_mm / DRAWN_MM / 2 - 0.5))
    grid = Grid.from_spacing(shape, (spacing_mm, spacing_mm, spacing_mm), (corner[0], corner[1], corner[2]))
    smooth = resample(drawn.hu, drawn.grid, grid)
    hu = np.empty(shape, dtype=np.int16, order="F")
    rng = np.random.default_rng(0)
    for k in range(shape[2]):
        noisy = smooth[:, :, k] + rng.normal(0.0, NOISE_HU, shape[:2]).astype(np.float32)
        hu[:, :, k] = np.rint(np.clip(noisy, LOWEST_HU, None))
    return CTVolume(hu, grid, {})


def with_slices(ct: CTVolume, count: int) -> CTVolume:
    """The CT with `count` slices along its last axis: its first ones, and beyond its end mirrored again and again."""
    period = np.r_[0 : ct.grid.shape[2], ct.grid.shape[2] - 1 : -1 : -1]
    hu = np.asfortranarray(ct.hu[:, :, period[np.arange(count) % len(period)]])
    return CTVolume(hu, Grid((*ct.grid.shape[:2], count), ct.grid.affine), {})


def store_ct(ct: CTVolume, folder: Path) -> dict[str, object]:
    """Lay a CT down in a folder for another process; what that process needs to read it. Raises ResourceError."""
    path = folder / f"{ct.grid.shape[2]}.npy"
    with writing():
        np.save(path, ct.hu)
    return {"hu": str(path), "affine": ct.grid.affine.tolist()}


def read_ct(stored: dict[str, object]) -> CTVolume:
    """The CT that `store_ct` laid down, read whole into memory."""
    hu = np.load(str(stored["hu"]))
    return CTVolume(hu, Grid(hu.shape, np.asarray(stored["affine"], dtype=np.float64)), {})
