"""The fine look: one structure in its region of interest at half the coarse spacing, in blocks when it is large."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from vision.geometry import CTVolume, Grid, cropped_grid
from vision.models.coarse_to_fine.look import Look, computing
from vision.models.coarse_to_fine.region import Region, plan_blocks, ramp
from vision.models.coarse_to_fine.sampling import halved, sample_hu
from vision.models.runtime import Runtime
from vision.models.universal.network import UniversalNetwork, scale_hu, unblock
from vision.segmenter import Progress

BLOCK_VOXELS = 750_000
"""Largest block in coarse voxels, an eighth of its fine ones."""
OVERLAP_MM = 24.0


def multiple_of(network: UniversalNetwork) -> int:
    """What starts and lengths of regions are multiples of, in coarse voxels."""
    return math.lcm(network.backbone.stride, network.fine.multiple)


def coarse_logits(network: UniversalNetwork, look: Look, query: Tensor, *, runtime: Runtime) -> Tensor:
    """(I, J, K) float16 logits of one query (1, D) on the padded coarse grid, on the CPU; the mean of all views."""
    with computing(runtime):
        blocks = [network.coarse(features, query).float() for _, features in look.seen]
        return unblock(_mean(blocks), look.padded)[0, 0].to(torch.float16).cpu()


def region_grid(look: Look, region: Region) -> tuple[Grid, Region]:
    """The fine grid of the part of a region that holds voxels of the coarse grid, and that part."""
    i, j, k = (min(stop, size) for stop, size in zip(region.stop, look.grid.shape, strict=True))
    inside = Region(region.start, (i, j, k))
    return halved(cropped_grid(look.grid, inside.start, inside.stop)), inside


def fine_logits(
    ct: CTVolume,
    network: UniversalNetwork,
    look: Look,
    *,
    query: Tensor,
    coarse: Tensor,
    region: Region,
    runtime: Runtime,
    progress: Progress,
) -> np.ndarray:
    """(2 i, 2 j, 2 k) float32 logits of one query in a region; `coarse` are its logits on the padded coarse grid.

    Blocks overlap and the logits of one turn linearly into the other's.
    """
    grid, inside = region_grid(look, region)
    window_hu = network.config.window_hu
    volume = torch.full(tuple(2 * n for n in region.shape), -1.0)
    i, j, k = (2 * n for n in inside.shape)
    volume[:i, :j, :k] = scale_hu(torch.from_numpy(sample_hu(ct, grid, window_hu=window_hu)), window_hu)
    multiple = multiple_of(network)
    overlap = max(multiple, round(OVERLAP_MM / network.config.spacing_mm / multiple) * multiple)
    blocks = plan_blocks(region, most_voxels=BLOCK_VOXELS, overlap=overlap, multiple=multiple)
    total = np.zeros(tuple(volume.shape), dtype=np.float32)
    weight = np.zeros_like(total)
    for number, block in enumerate(blocks):
        progress("looking closer", number / len(blocks))
        near = block.within(region).scaled(2)
        share = _share(block, region, overlap)
        total[near] += _refined(network, look, query, volume[near], coarse, block, runtime) * share
        weight[near] += share
    return total / weight


def _share(block: Region, region: Region, overlap: int) -> np.ndarray:
    """(2 i, 2 j, 2 k) float32 weights of a block in its region."""
    i, j, k = (
        ramp((first, last), (low, high), overlap).repeat(2)
        for first, last, low, high in zip(block.start, block.stop, region.start, region.stop, strict=True)
    )
    return i[:, None, None] * j[:, None] * k


def _refined(
    network: UniversalNetwork,
    look: Look,
    query: Tensor,
    volume: Tensor,
    coarse: Tensor,
    block: Region,
    runtime: Runtime,
) -> np.ndarray:
    """(2 i, 2 j, 2 k) float32 logits of one block, the mean of all views."""
    place = (..., *block.scaled(1, network.backbone.stride))
    with computing(runtime):
        part = volume[None, None].to(runtime.device)
        before = coarse[block.slices][None, None].to(runtime.device).float()
        blocks = []
        for view, features in look.seen:
            fine = network.fine_features(view.shown(part, network.config.window_hu), features.decoded[place])
            blocks.append(network.refine(fine, features.bottleneck, before, query).float())
        i, j, k = (2 * n for n in block.shape)
        logits: np.ndarray = unblock(_mean(blocks), (i, j, k))[0, 0].cpu().numpy()
    return logits


def _mean(values: list[Tensor]) -> Tensor:
    return values[0] if len(values) == 1 else torch.stack(values).mean(0)
