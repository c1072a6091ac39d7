"""A diffusion network of a few thousand weights, and cases that one can be trained on."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from tests.vision.tumours.bodies import organ_in_fat
from vision.structures import by_name
from vision.synthesis.tumours.diffusion.config import DiffusionConfig
from vision.synthesis.tumours.diffusion.engine import Diffusion
from vision.synthesis.tumours.diffusion.networks import LatentDiffusion
from vision.training.cases import TrainingCase, label_members, member_table
from vision.training.diffusion.crops import STRUCTURES

TINY = DiffusionConfig(spacing_mm=2.0, widths=(4, 4), codes=16, code_width=2, unet_widths=(16, 16))


@cache
def tiny_network(seed: int = 0) -> LatentDiffusion:
    """Untrained, but without MONAI's layers that begin as zeros, so that what it sees reaches what it says."""
    torch.manual_seed(seed)
    network = LatentDiffusion(TINY)
    with torch.no_grad():
        for parameter in network.denoiser.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.2)
    return network.eval().requires_grad_(False)


def tiny_engine() -> Diffusion:
    return Diffusion(tiny_network(), ("liver", "kidney"))


def case_of(*annotated: str) -> TrainingCase:
    """A liver in fat at 2 mm; what is not in `annotated` is unknown."""
    hu, organ = organ_in_fat(96, 40, spacing=(2.0, 2.0, 2.0))
    label = by_name("liver").label
    assert label is not None
    tissues = np.where(organ, label, 0).astype(np.uint8)
    known = np.array([name in annotated for name in STRUCTURES])
    return TrainingCase(hu, tissues, member_table(STRUCTURES, label_members()), known)
