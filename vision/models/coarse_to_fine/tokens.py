"""CT tokens: what the language model reads of a CT, a fixed number of latents and one token per structure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vision.geometry import Grid
from vision.models.coarse_to_fine.look import Look

LATTICE = (4, 4, 6)
"""Latents along the right-left, front-back and up-down axes of the body."""


@dataclass(frozen=True)
class CTTokens:
    """`latents` (N, C) float32 of the bottleneck on a lattice over the body, and where each lies: `positions_mm` (N, 3)
    RAS+. `pooled` (S, W) float32: the decoded features averaged under the probability of each of `structures`, with
    their `presence` (S,), the largest probability within the body, the `volumes_ml` (S,) and the `centres_mm` (S, 3)
    RAS+ of where it is at least a half: an average tells neither. What is nowhere lies in the middle of the CT."""

    latents: Tensor
    positions_mm: Tensor
    structures: tuple[str, ...]
    pooled: Tensor
    presence: Tensor
    volumes_ml: Tensor
    centres_mm: Tensor


def make_tokens(look: Look, logits: Mapping[str, Tensor], *, stride: int) -> CTTokens:
    """Tokens of one CT from its look and the (I, J, K) coarse logits of the structures that are to have a token."""
    decoded = look.features.decoded[0].float().cpu()
    flat = decoded.flatten(1)
    inside = tuple(slice(n) for n in look.grid.shape)
    pooled, presence, volumes, centres = [], [], [], []
    for plane in logits.values():
        probability = torch.sigmoid(plane.float())
        presence.append(probability[inside].max())
        voxels = probability[inside] >= 0.5
        volumes.append(float(voxels.sum()) * look.grid.voxel_ml)
        centres.append(_centre_mm(voxels, look.grid))
        weight = functional.avg_pool3d(probability[None, None], stride)[0, 0].flatten()
        pooled.append(flat @ weight / weight.sum().clamp_min(1e-6))
    return CTTokens(
        latents=_latents(look),
        positions_mm=_positions_mm(look),
        structures=tuple(logits),
        pooled=torch.stack(pooled),
        presence=torch.stack(presence),
        volumes_ml=torch.tensor(volumes, dtype=torch.float32),
        centres_mm=torch.stack(centres),
    )


def _centre_mm(voxels: Tensor, grid: Grid) -> Tensor:
    """(3,) float32 RAS+ mm of the middle of (I, J, K) bool; of the grid where there is none."""
    index = voxels.nonzero().double().mean(0) if voxels.any() else torch.tensor(grid.shape).double() / 2 - 0.5
    return torch.from_numpy(grid.to_mm(index.numpy()).astype(np.float32))


def _latents(look: Look) -> Tensor:
    """(N, C): the bottleneck averaged in the cells of the lattice, the padding left out."""
    bottleneck = look.features.bottleneck[0].float().cpu()
    sizes = [
        max(1, round(have * size / padded))
        for have, size, padded in zip(bottleneck.shape[1:], look.grid.shape, look.padded, strict=True)
    ]
    inside = bottleneck[:, : sizes[0], : sizes[1], : sizes[2]]
    return functional.adaptive_avg_pool3d(inside[None], LATTICE)[0].flatten(1).T.contiguous()


def _positions_mm(look: Look) -> Tensor:
    """(N, 3) RAS+ mm of the centres of the lattice's cells, in the order of the latents."""
    axes = [(np.arange(n) + 0.5) * size / n - 0.5 for n, size in zip(LATTICE, look.grid.shape, strict=True)]
    index = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    return torch.from_numpy(look.grid.to_mm(index).astype(np.float32))
