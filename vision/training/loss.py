"""Partial-label loss: what a case does not annotate gets exactly zero gradient."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

WITHIN_SHARE = 0.5
"""Weight of the cross-entropy inside a lesion's organ, averaged over the organ's voxels: of a whole patch an organ is
so little that calling all of a healthy kidney a tumour would cost next to nothing."""


def partial_label_loss(
    logits: Tensor,
    target: Tensor,
    annotated: Tensor,
    *,
    foreground_share: float = 0.0,
    within: Tensor | None = None,
) -> Tensor:
    """BCE, BCE inside the structure, and soft Dice over the annotated structures, a scalar.

    `logits` (B, C, V) over any set of voxels V, `target` (B, C, V) bool, `annotated` (B, C) bool. Dice is taken per
    structure over the batch's cases that annotate it, and counts only where the structure occurs: empty patches teach
    by BCE alone. `foreground_share` weighs the BCE inside a structure, averaged over its own voxels. `within` (B, C, V)
    bool is where a structure is looked for, nowhere for those that are looked for everywhere.
    """
    known = annotated.to(logits.dtype)
    truth = target.to(logits.dtype)
    per_voxel = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    inside = (per_voxel * truth).sum(dim=2) / truth.sum(dim=2).clamp(min=1)
    per_plane = per_voxel.mean(dim=2) + foreground_share * inside
    if within is not None:
        place = within.to(logits.dtype)
        per_plane = per_plane + WITHIN_SHARE * (per_voxel * place).sum(dim=2) / place.sum(dim=2).clamp(min=1)
    cross_entropy = (per_plane * known).sum() / known.sum().clamp(min=1)
    probability = torch.sigmoid(logits)
    overlap = (probability * truth).sum(dim=2) * known
    size = (probability.sum(dim=2) + truth.sum(dim=2)) * known
    occurs = ((truth.amax(dim=2) * known).amax(dim=0) > 0).to(logits.dtype)
    dice = (2 * overlap.sum(0) + 10.0) / (size.sum(0) + 10.0)
    return cross_entropy + ((1 - dice) * occurs).sum() / occurs.sum().clamp(min=1)
