"""The cellular automaton engine: a tumour that grows cell by cell through the tissue that the CT shows.

After Pixel2Cancer (Lai et al., MICCAI 2024), but grown to a diameter in mm at any spacing instead of for a number of
steps, from one generator, and with the contrast, texture and parts of the settled wish.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from vision.synthesis.tumours.automaton import FULL, Stage, grow, necrosis
from vision.synthesis.tumours.handcrafted import dress, texture
from vision.synthesis.tumours.lattice import Lattice, lattice_for, seeds_of, surface_level, tissue_of
from vision.synthesis.tumours.parts import NECROSIS_HU, Body
from vision.synthesis.tumours.protocol import Painted, Part, Settled, Spacing, Voxel
from vision.synthesis.tumours.room import window
from vision.synthesis.tumours.shapes import grow as grow_level

NECROTIC_SHARE = (0.1, 0.35)
BRIGHT_SHARE = 0.5
"""How much of a hyperattenuating tumour's contrast its necrosis may take away: it stays brighter than the organ."""
VIABLE_RIM_SHARE, VIABLE_RIM_MM = 0.12, 3.0
FADING_CELLS = 0.8
MARGIN_MM = 4.0


@dataclass(frozen=True)
class CellularAutomaton:
    """Grows tumours cell by cell, without weights.

    `grown` is the share of the wished diameter at which the growth is looked at: the same crop, wish and state of the
    generator with 0.6 and with 1 give an earlier and a later look at one tumour.
    """

    name: str = "cellular-automaton"
    grown: float = 1.0

    def paint(
        self,
        ct: NDArray[np.float32],
        room: NDArray[np.bool_],
        spacing: Spacing,
        wish: Settled,
        rng: np.random.Generator,
    ) -> Painted:
        """Paint one tumour on a crop: see `Engine`. Raises UsageError E_TUMOUR_ROOM."""
        seeds = rng.integers(2**63, size=2)
        box = window(ct.shape, spacing, wish.centre, wish.diameter_mm + MARGIN_MM + 4 * wish.edge_mm)
        i, j, k = (at - span.start for at, span in zip(wish.centre, box, strict=True))
        near = replace(wish, centre=(i, j, k))
        if self.grown < 1:
            # Refused where the whole tumour would be, so that an early and a late look are always at one place.
            _look(ct[box], room[box], spacing, near, seeds, grown=1.0)
        painted = _look(ct[box], room[box], spacing, near, seeds, grown=self.grown)
        mask, change = np.zeros(ct.shape, dtype=bool), np.zeros(ct.shape, dtype=np.float32)
        mask[box], change[box] = painted.mask, painted.change
        return Painted(mask, change, painted.parts)


def _look(
    ct: NDArray[np.float32],
    room: NDArray[np.bool_],
    spacing: Spacing,
    wish: Settled,
    seeds: NDArray[np.int64],
    *,
    grown: float,
) -> Painted:
    """The tumour when it has `grown` to that share of its diameter; of two seeds, one grows and one paints it."""
    shape: Voxel = (ct.shape[0], ct.shape[1], ct.shape[2])
    lattice = lattice_for(shape, spacing, wish.diameter_mm)
    growing, looks = (np.random.default_rng(seed) for seed in seeds)
    diameter = grown * wish.diameter_mm
    stage = _grown(ct, room, lattice, wish, diameter_mm=diameter, rng=growing)
    level = surface_level(stage.state, lattice, wish.diameter_mm / 2)
    i, j, k = np.unravel_index(int(np.argmin(np.where(room, level, np.inf))), shape)
    mask, surface = grow_level(level, room, spacing, (int(i), int(j), int(k)), diameter)
    weight = lattice.to_crop(ndimage.gaussian_filter(stage.state / np.float32(FULL), FADING_CELLS))
    weight /= max(float(weight[mask].mean()), 0.1)
    hu = wish.organ_hu + wish.contrast_hu * weight + texture(shape, spacing, wish, looks)
    parts = tuple(part for part in wish.parts if part != "necrotic core")
    body = Body(mask, level, surface, spacing, wish)
    if len(parts) == len(wish.parts):
        return dress(hu, parts, body, ct=ct, room=room, rng=looks)
    tumour_hu = wish.organ_hu + wish.contrast_hu
    target = min(looks.uniform(*NECROSIS_HU), tumour_hu - 10.0)
    share = looks.uniform(*NECROTIC_SHARE)
    if wish.attenuation == "hyper":
        share = min(share, BRIGHT_SHARE * wish.contrast_hu / (tumour_hu - target))
    dead = _dead(stage, lattice, wish, share=share, rng=looks)
    hu += dead * (np.float32(target) - hu)
    painted = dress(hu, parts, body, ct=ct, room=room, rng=looks)
    core: tuple[Part, ...] = ("necrotic core",) if (dead[mask] > 0.5).any() else ()
    return Painted(painted.mask, painted.change, core + painted.parts)


def _grown(
    ct: NDArray[np.float32],
    room: NDArray[np.bool_],
    lattice: Lattice,
    wish: Settled,
    *,
    diameter_mm: float,
    rng: np.random.Generator,
) -> Stage:
    """The first stage of the growth towards the wished size that has `diameter_mm`."""
    tissue = tissue_of(ct, room, lattice, wish)
    seeds = seeds_of(tissue, lattice, wish, rng)
    stages = grow(tissue, seeds, cell_mm=lattice.cell_mm, diameter_mm=wish.diameter_mm, rng=rng)
    stage = next(stages)
    for stage in stages:
        if stage.diameter_mm >= diameter_mm:
            break
    return stage


def _dead(
    stage: Stage, lattice: Lattice, wish: Settled, *, share: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """(I, J, K) float32 0..1 on the crop: how much of each voxel is necrotic."""
    rim_mm = max(VIABLE_RIM_SHARE * wish.diameter_mm, VIABLE_RIM_MM)
    cells = necrosis(stage.state, cell_mm=lattice.cell_mm, rim_mm=rim_mm, share=share, rng=rng)
    return lattice.to_crop(ndimage.gaussian_filter(cells.astype(np.float32), FADING_CELLS))
