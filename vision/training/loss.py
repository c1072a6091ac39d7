"""Partial-label loss: what a case does not annotate gets exactly zero gradient."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def partial_label_loss(
    logits: Tensor, target: Tensor, annotated: Tensor, *, positive_weight: Tensor | None = None
) -> Tensor:
    """BCE plus soft Dice over the annotated structures, a scalar.

    `logits` (B, C, V) over any set of voxels V, `target` (B, C, V) bool, `annotated` (B, C) bool. Dice is taken per
    structure over the batch's cases that annotate it, and counts only where the structure occurs: empty patches teach
    by BCE alone. `positive_weight` (C,) multiplies the BCE of voxels inside a structure, 1 by default.
    """
    known = annotated.to(logits.dtype)
    truth = target.to(logits.dtype)
    weight = None if positive_weight is None else positive_weight[:, None]
    per_plane = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none", pos_weight=weight).mean(
        dim=2, dtype=torch.float32
    )
    cross_entropy = (per_plane * known).sum() / known.sum().clamp(min=1)
    probability = torch.sigmoid(logits)
    overlap = (probability * truth).sum(dim=2, dtype=torch.float32) * known
    size = (probability.sum(dim=2, dtype=torch.float32) + truth.sum(dim=2, dtype=torch.float32)) * known
    occurs = ((truth.amax(dim=2) * known).amax(dim=0) > 0).to(logits.dtype)
    dice = (2 * overlap.sum(0) + 10.0) / (size.sum(0) + 10.0)
    return cross_entropy + ((1 - dice) * occurs).sum() / occurs.sum().clamp(min=1)
