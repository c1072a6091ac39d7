"""Find one structure: propose it on the coarse grid, look closer, clean it, and lay it on the CT's own grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from vision.geometry import CTVolume, Grid, Mask, box_around, cropped_grid
from vision.models.coarse_to_fine.clean import Cleaning, clean, grown, keep_pieces, keep_side, label_pieces
from vision.models.coarse_to_fine.fine import fine_logits, multiple_of, region_grid
from vision.models.coarse_to_fine.look import Look
from vision.models.coarse_to_fine.region import Region, plan_region
from vision.models.coarse_to_fine.sampling import mask_on
from vision.models.coarse_to_fine.sides import beyond_midline
from vision.models.runtime import Runtime
from vision.models.universal.network import UniversalNetwork
from vision.segmenter import Progress

MARGIN_MM = 12.0
"""Around the coarse mask; the edges of a mask at 3 mm are never that wrong."""
LEAST_MM = 96.0
"""Shortest region: instance normalisation needs surroundings as wide as in training, two thirds of its 144 mm."""
PROPOSED = 0.3
"""Coarse probability from which voxels are worth a closer look."""
STAY_COARSE = frozenset({"colon", "intestine", "lung_left", "lung_right", "femur_left", "femur_right"})
"""Structures of the coarse look only: their boxes are most of the body, or their outlines are smooth."""


@dataclass(frozen=True)
class Wanted:
    """What is looked for: `query` (1, D) and the rules of its mask.

    `side` is where it lies, '' for none, `midline_mm` along the first axis from its first coarse voxel, None when
    unknown. `host` (I, J, K) bool are the coarse voxels that its pieces touch, None for no such rule.
    """

    query: Tensor
    cleaning: Cleaning
    refined: bool = True
    side: str = ""
    midline_mm: float | None = None
    host: np.ndarray | None = None


@dataclass(frozen=True)
class Found:
    """`voxels` (I, J, K) bool, cleaned, and `probability` (I, J, K) float16 on `grid`, a part of a working grid."""

    voxels: np.ndarray
    probability: np.ndarray
    grid: Grid

    def score(self) -> float:
        """Mean probability inside."""
        return float(self.probability[self.voxels].mean(dtype=np.float64))

    def only(self, keeps: Callable[[float], bool]) -> Found | None:
        """What is left of the 26-connected pieces whose mean probability `keeps`, None if nothing is."""
        labels, count = label_pieces(self.voxels)
        numbers = range(1, count + 1)
        means = ndimage.mean(self.probability.astype(np.float64), labels, numbers)
        kept = [piece for piece, mean in zip(numbers, means, strict=True) if keeps(float(mean))]
        return replace(self, voxels=np.isin(labels, kept)) if kept else None

    def mask(self, grid: Grid, structure: str, score: float) -> Mask:
        """On the CT's own grid: where the interpolated probability is at least one half."""
        box = box_around(self.voxels)
        if box is None:
            raise ValueError(f"nothing was found of {structure}")
        i, j, k = (slice(max(0, s.start - 2), min(n, s.stop + 2)) for s, n in zip(box, self.voxels.shape, strict=True))
        inside = self.voxels[i, j, k]
        kept = np.where(grown(inside), self.probability[i, j, k], 0).astype(np.float32)
        kept[inside & (kept < 0.5)] = 1.0
        source = cropped_grid(self.grid, (i.start, j.start, k.start), (i.stop, j.stop, k.stop))
        return Mask(mask_on(kept, source, grid), grid, structure, score=score)

    def mean_under(self, part: Mask) -> float | None:
        """Mean probability at the voxels nearest to those of one piece; None for an empty one."""
        if part.box is None:
            return None
        index = np.argwhere(part.voxels[part.box.slices]) + part.box.start
        nearest = np.round(self.grid.to_ijk(part.grid.to_mm(index))).astype(int)
        i, j, k = np.clip(nearest, 0, np.asarray(self.grid.shape) - 1).T
        return float(self.probability[i, j, k].mean(dtype=np.float64))


def find(
    ct: CTVolume,
    network: UniversalNetwork,
    look: Look,
    *,
    wanted: Wanted,
    coarse: Tensor,
    runtime: Runtime,
    progress: Progress,
) -> Found | None:
    """What `wanted` names, None when it is not seen. `coarse` are its logits on the padded coarse grid."""
    shape = look.grid.shape
    probability = torch.sigmoid(coarse[: shape[0], : shape[1], : shape[2]].float()).numpy() * look.body
    whole = Region((0, 0, 0), shape)
    if not wanted.refined:
        return _cleaned(probability, look.grid, whole, wanted, step=1)
    proposed = _allowed(probability >= PROPOSED, whole, wanted, step=1, coarse_mm=look.grid.spacing_mm[0])
    rules = wanted.cleaning
    box = box_around(keep_pieces(proposed, least_share=rules.least_share, least_ml=0.0, voxel_ml=look.grid.voxel_ml))
    if box is None:
        return None
    region = plan_region(
        box,
        margin=round(MARGIN_MM / network.config.spacing_mm),
        least=round(LEAST_MM / network.config.spacing_mm),
        multiple=multiple_of(network),
        shape=shape,
        padded=look.padded,
    )
    logits = fine_logits(
        ct,
        network,
        look,
        query=wanted.query,
        coarse=coarse,
        region=region,
        runtime=runtime,
        progress=progress,
    )
    grid, inside = region_grid(look, region)
    i, j, k = grid.shape
    near = torch.sigmoid(torch.from_numpy(logits[:i, :j, :k])).numpy()
    return _cleaned(near, grid, inside, wanted, step=2)


def _cleaned(probability: np.ndarray, grid: Grid, region: Region, wanted: Wanted, *, step: int) -> Found | None:
    allowed = _allowed(probability >= 0.5, region, wanted, step=step, coarse_mm=step * grid.spacing_mm[0])
    voxels = clean(allowed, wanted.cleaning, spacing_mm=grid.spacing_mm)
    return Found(voxels, probability.astype(np.float16), grid) if voxels.any() else None


def _allowed(voxels: np.ndarray, region: Region, wanted: Wanted, *, step: int, coarse_mm: float) -> np.ndarray:
    """What lies on the wanted side and touches the host; `step` voxels along each axis are one coarse voxel, which is
    `coarse_mm` wide."""
    crossing_mm = wanted.cleaning.crossing_mm
    if wanted.side and crossing_mm is not None and wanted.midline_mm is not None:
        positions_mm = (region.start[0] + (np.arange(voxels.shape[0]) + 0.5) / step - 0.5) * coarse_mm
        beyond_mm = beyond_midline(positions_mm, wanted.midline_mm, side=wanted.side)
        voxels = keep_side(voxels, beyond_mm, crossing_mm=crossing_mm)
    if wanted.host is not None:
        host = grown(wanted.host)[region.slices].repeat(step, 0).repeat(step, 1).repeat(step, 2)
        voxels = keep_touching(voxels, host)
    return voxels


def keep_touching(voxels: np.ndarray, near: np.ndarray) -> np.ndarray:
    """The 26-connected pieces of (I, J, K) bool that have a voxel in `near`."""
    labels, _ = label_pieces(voxels)
    touching = np.unique(labels[near & voxels])
    kept: np.ndarray = np.isin(labels, touching[touching > 0])
    return kept
