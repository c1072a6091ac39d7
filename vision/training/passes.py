"""One training pass: both looks of the network at one patch, and the loss of what the case annotates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vision.models.backbones.compact import space_to_depth
from vision.models.backbones.features import Features
from vision.models.universal.network import UniversalNetwork, scale_hu, unblock
from vision.structures import by_name
from vision.training.loss import partial_label_loss
from vision.training.patches import Patch


@dataclass(frozen=True)
class Losses:
    """Scalars: of the wide view, of the near view."""

    coarse: Tensor
    fine: Tensor


class TrainingPass(nn.Module):
    """A patch in, losses out. The near view learns on top of the wide one, whose gradient it leaves alone.

    Only the annotated structures are asked for, so nothing at all flows from the others.
    """

    def __init__(self, network: UniversalNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, patch: Patch, sub_voxels: Tensor, foreground_share: float = 0.0) -> Losses:
        network, config = self.network, self.network.config
        known = patch.annotated.nonzero()[:, 0]
        names = tuple(config.structures[int(number)] for number in known)
        members = patch.members[known]
        organs = host_members(names, config.structures, patch.members)
        annotated = torch.ones(1, len(known), dtype=torch.bool, device=known.device)
        queries = network.queries(names)
        features = network.see(scale_hu(patch.hu, config.window_hu)[None])
        stride = network.backbone.stride
        picked = sub_voxels if stride > 1 else torch.zeros(1, dtype=torch.long)
        blocks = network.coarse(features, queries, picked)
        truth = blocked(targets(patch.tissues, members), stride)[:, :, picked]
        within = blocked(targets(patch.tissues, organs), stride)[:, :, picked]
        coarse_loss = partial_label_loss(
            blocks.flatten(2).float(),
            truth.flatten(2),
            annotated,
            foreground_share=foreground_share,
            within=within.flatten(2),
        )
        near = tuple(n // 2 for n in patch.fine_tissues.shape)
        si, sj, sk = (
            slice(int(first) // stride, (int(first) + n) // stride)
            for first, n in zip(patch.fine_start, near, strict=True)
        )
        seen = Features(features.decoded.detach()[:, :, si, sj, sk], features.bottleneck.detach())
        with torch.no_grad():
            before = unblock(network.coarse(seen, queries), (near[0], near[1], near[2]))
        fine = network.fine_features(scale_hu(patch.fine_hu, config.window_hu)[None], seen.decoded)
        refined = network.refine(fine, seen.bottleneck, before, queries, sub_voxels)
        fine_truth = blocked(targets(patch.fine_tissues, members), 2)[:, :, sub_voxels]
        fine_within = blocked(targets(patch.fine_tissues, organs), 2)[:, :, sub_voxels]
        fine_loss = partial_label_loss(
            refined.flatten(2).float(),
            fine_truth.flatten(2),
            annotated,
            foreground_share=foreground_share,
            within=fine_within.flatten(2),
        )
        return Losses(coarse_loss, fine_loss)


def host_members(names: Sequence[str], structures: Sequence[str], members: Tensor) -> Tensor:
    """(Q, 256) bool: the codes of the organs that each of `names` lies in, for lesions; none for the others.

    `members` (C, 256) bool are those of all `structures`.
    """
    hosts = torch.zeros((len(names), members.shape[1]), dtype=torch.bool, device=members.device)
    for row, name in enumerate(names):
        for organ in by_name(name).lesion_of:
            if organ in structures:
                hosts[row] |= members[structures.index(organ)]
    return hosts


def blocked(truth: Tensor, stride: int) -> Tensor:
    """(Q, I, J, K) -> (1, Q, stride**3, V), as the heads lay out their logits."""
    if stride == 1:
        return truth.flatten(1)[None, :, None]
    if stride != 2:
        raise ValueError(f"stride {stride} is neither 1 nor 2")
    return space_to_depth(truth[None]).unflatten(1, (-1, 8)).flatten(3)


def targets(tissues: Tensor, members: Tensor) -> Tensor:
    """(I, J, K) codes and (Q, 256) membership -> (Q, I, J, K) bool."""
    return members[:, tissues.long()]
