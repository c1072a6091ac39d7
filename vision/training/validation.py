"""How a run does on cases that it does not train on: Dice of the wide and the near look, for the curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from vision.models.backbones.features import Features
from vision.models.universal.network import UniversalNetwork, scale_hu, unblock
from vision.training.cases import TrainingCase


def validate(network: UniversalNetwork, cases: Sequence[TrainingCase]) -> dict[str, Any]:
    """{"dice": {structure: mean over cases of the wide look, at the coarse spacing}, "fine_dice": the same of the near
    look, within blocks of 96 fine voxels about each structure}."""
    coarse: dict[str, list[float]] = {}
    fine: dict[str, list[float]] = {}
    for case in cases:
        for structure, values in _validate_case(network, case).items():
            coarse.setdefault(structure, []).append(values[0])
            fine.setdefault(structure, []).append(values[1])
    return {
        "dice": {name: round(float(np.mean(values)), 3) for name, values in coarse.items()},
        "fine_dice": {name: round(float(np.mean(values)), 3) for name, values in fine.items()},
    }


def _validate_case(network: UniversalNetwork, case: TrainingCase) -> dict[str, tuple[float, float]]:
    config, device = network.config, next(network.parameters()).device
    multiple = 2 * network.backbone.multiple
    pad = [n for size in reversed(case.hu.shape) for n in (0, -size % multiple)]
    hu = functional.pad(torch.from_numpy(case.hu).float(), pad, value=config.window_hu[0])
    tissues = functional.pad(torch.from_numpy(case.tissues), pad)
    scaled = scale_hu(hu, config.window_hu)[None, None].to(device)
    result = {}
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16):
        features = network.see(functional.avg_pool3d(scaled, 2))
        for number in np.flatnonzero(case.annotated):
            truth = torch.from_numpy(case.members[number])[tissues.long()]
            if not bool(truth.any()):
                continue
            name = config.structures[int(number)]
            queries = network.queries((name,))
            half = tuple(n // 2 for n in truth.shape)
            logits = unblock(network.coarse(features, queries), (half[0], half[1], half[2])).float()
            found = logits[0, 0].cpu() > 0
            dice = _dice(found, functional.avg_pool3d(truth[None, None].float(), 2)[0, 0] >= 0.5)
            result[name] = (dice, _near_dice(network, scaled, features, logits, truth, queries))
    return result


def _near_dice(
    network: UniversalNetwork,
    scaled: torch.Tensor,
    features: Features,
    logits: torch.Tensor,
    truth: torch.Tensor,
    queries: torch.Tensor,
) -> float:
    """Dice of the near look in a block of 48 coarse voxels about the middle of a structure."""
    middle = torch.nonzero(truth).float().mean(0) / 2
    low = [int(max(0, min(n // 2 - 48, int(m) - 24))) // 4 * 4 for m, n in zip(middle, truth.shape, strict=True)]
    high = [min(n // 2, a + 48) for a, n in zip(low, truth.shape, strict=True)]
    stride = network.backbone.stride
    ci, cj, ck = (slice(a, b) for a, b in zip(low, high, strict=True))
    si, sj, sk = (slice(a // stride, b // stride) for a, b in zip(low, high, strict=True))
    ni, nj, nk = (slice(2 * a, 2 * b) for a, b in zip(low, high, strict=True))
    fine = network.fine_features(scaled[:, :, ni, nj, nk], features.decoded[:, :, si, sj, sk])
    blocks = network.refine(fine, features.bottleneck, logits[:, :, ci, cj, ck].to(fine.dtype), queries)
    near = truth[ni, nj, nk]
    size = near.shape
    found = unblock(blocks, (size[0], size[1], size[2]))[0, 0].float().cpu() > 0
    return _dice(found, near)


def _dice(found: torch.Tensor, truth: torch.Tensor) -> float:
    total = int(found.sum()) + int(truth.sum())
    return 2 * int((found & truth).sum()) / total if total else 1.0
