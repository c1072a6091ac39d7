"""The lattice that a cellular automaton grows on: equal cells in mm laid over a crop of any spacing."""

from __future__ import annotations

from dataclasses import dataclass

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from vision.synthesis.tumours.automaton import DENSE, LOOSE, MEDIUM, VESSEL, WALL
from vision.synthesis.tumours.protocol import Settled, Spacing, Voxel

CELLS_ACROSS = 28
SMALLEST_CELL_MM = 0.5
DENSITY_MM = 1.5
"""SD of the Gaussian through which the automaton sees the CT: its noise is finer, the tissue it grows in is not."""
VESSEL_SD, VESSEL_HU = 2.5, 18.0
FAT_HU = -20.0
SURFACE_CELLS = 1.0


@dataclass(frozen=True)
class Lattice:
    """Cells of `cell_mm` over a crop of `crop` voxels; the first voxel's outer corner is the first cell's."""

    crop: Voxel
    spacing: Spacing
    cell_mm: float

    @property
    def shape(self) -> Voxel:
        """Cells along each axis; they cover the crop."""
        i, j, k = (max(1, round(n * step / self.cell_mm)) for n, step in zip(self.crop, self.spacing, strict=True))
        return i, j, k

    def cell_of(self, voxel: Voxel) -> Voxel:
        """The cell in which a voxel's centre lies."""
        i, j, k = (
            min(int((at + 0.5) * step / self.cell_mm), count - 1)
            for at, step, count in zip(voxel, self.spacing, self.shape, strict=True)
        )
        return i, j, k

    def from_crop(self, voxels: NDArray[np.float32], order: int) -> NDArray[np.float32]:
        """The crop's values at the cells' centres; spline `order` 0 takes the nearest, 1 interpolates."""
        scale = [self.cell_mm / step for step in self.spacing]
        return _sample(voxels, scale, self.shape, order)

    def to_crop(self, cells: NDArray[np.float32]) -> NDArray[np.float32]:
        """The lattice's values at the voxels' centres, interpolated."""
        scale = [step / self.cell_mm for step in self.spacing]
        return _sample(cells, scale, self.crop, 1)


def lattice_for(crop: Voxel, spacing: Spacing, diameter_mm: float) -> Lattice:
    """28 cells across the tumour, so that any size takes about as long; never finer than half a millimetre."""
    return Lattice(crop, spacing, max(diameter_mm / CELLS_ACROSS, SMALLEST_CELL_MM))


def tissue_of(ct: NDArray[np.float32], room: NDArray[np.bool_], lattice: Lattice, wish: Settled) -> NDArray[np.uint8]:
    """What each cell is to the automaton: wall, loose, medium, dense or vessel, from the HU of the crop.

    Outside the room is wall. Vessels stand out of the room's tissue by 2.5 of its robust SD and 18 HU. The rest is cut
    into three equal shares by density; fat counts as medium, or a tumour would pour out of its organ. A cyst pushes
    tissue aside whatever its density: all loose.
    """
    sigma = [max(DENSITY_MM, lattice.cell_mm) / step for step in lattice.spacing]
    hu = lattice.from_crop(ndimage.gaussian_filter(ct, sigma, truncate=3.0), 1)
    inside = lattice.from_crop(room.astype(np.float32), 0) > 0
    soft = hu[inside & (hu > FAT_HU)]
    middle = float(np.median(soft)) if soft.size else wish.organ_hu
    spread = 1.4826 * float(np.median(np.abs(soft - middle))) if soft.size else 0.0
    vessel = hu > middle + max(VESSEL_SD * spread, VESSEL_HU)
    tissue = np.full(lattice.shape, LOOSE, dtype=np.uint8)
    if wish.kind == "tumour" and soft.size:
        lower, upper = np.quantile(soft[soft <= middle + max(VESSEL_SD * spread, VESSEL_HU)], [1 / 3, 2 / 3])
        tissue[hu > lower] = MEDIUM
        tissue[hu > upper] = DENSE
        tissue[hu <= FAT_HU] = MEDIUM
    tissue[vessel] = VESSEL
    tissue[~inside] = WALL
    return tissue


def seeds_of(tissue: NDArray[np.uint8], lattice: Lattice, wish: Settled, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(I, J, K) bool: the cell of the centre, and for a tumour up to three more within a fifth of the diameter."""
    seeds = np.zeros(tissue.shape, dtype=bool)
    centre = lattice.cell_of(wish.centre)
    seeds[centre] = True
    reach = round(wish.diameter_mm / 5 / lattice.cell_mm)
    for _ in range(int(rng.integers(0, 4)) if wish.kind == "tumour" else 0):
        at = np.clip(centre + rng.integers(-reach, reach + 1, size=3), 0, np.array(tissue.shape) - 1)
        seeds[tuple(at)] = True
    return seeds & (tissue != WALL)


def surface_level(state: NDArray[np.uint8], lattice: Lattice, radius_mm: float) -> NDArray[np.float32]:
    """(I, J, K) float32 on the crop: 1 at the tumour's smoothed surface, falling by 1 over a radius inwards."""
    live = ndimage.gaussian_filter((state > 0).astype(np.float32), SURFACE_CELLS) >= 0.5
    if not live.any():
        live = state > 0
    cell = (lattice.cell_mm,) * 3
    depth = edt.edt(live, anisotropy=cell, black_border=True) - edt.edt(~live, anisotropy=cell, black_border=False)
    smooth = ndimage.gaussian_filter(depth, SURFACE_CELLS)
    return 1 - lattice.to_crop(smooth) / np.float32(radius_mm)


def _sample(values: NDArray[np.float32], scale: list[float], shape: Voxel, order: int) -> NDArray[np.float32]:
    """Values at centres `scale` apart whose first outer corner is the same."""
    offset = [step / 2 - 0.5 for step in scale]
    sampled: NDArray[np.float32] = ndimage.affine_transform(
        values, np.array(scale), offset, output_shape=shape, order=order, mode="nearest", output=np.float32
    )
    return sampled
