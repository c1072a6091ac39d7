"""Partial-label loss: what a case does not annotate gets exactly zero gradient."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def partial_label_loss(logits: Tensor, target: Tensor, annotated: Tensor, *, foreground_share: float = 0.0) -> Tensor:
    """BCE, BCE inside the structure, and soft Dice over the annotated structures, a scalar.

    `logits` (B, C, V) over any set of voxels V, `target` (B, C, V) bool, `annotated` (B, C) bool. Dice is taken per
    structure over the batch's cases that annotate it, and counts only where the structure occurs: empty patches teach
    by BCE alone. `foreground_share` weighs the BCE inside a structure, averaged over its own voxels.
    """
    known = annotated.to(logits.dtype)
    truth = target.to(logits.dtype)
    per_voxel = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    inside = (per_voxel * truth).sum(dim=2) / truth.sum(dim=2).clamp(min=1)
    per_plane = per_voxel.mean(dim=2) + foreground_share * inside
    cross_entropy = (per_plane * known).sum() / known.sum().clamp(min=1)
    probability = torch.sigmoid(logits)
    overlap = (probability * truth).sum(dim=2) * known
    size = (probability.sum(dim=2) + truth.sum(dim=2)) * known
    occurs = ((truth.amax(dim=2) * known).amax(dim=0) > 0).to(logits.dtype)
    dice = (2 * overlap.sum(0) + 10.0) / (size.sum(0) + 10.0)
    return cross_entropy + ((1 - dice) * occurs).sum() / occurs.sum().clamp(min=1)
