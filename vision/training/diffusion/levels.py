"""Does the network do what it is told? Its tumours' HU before they are set to the wished ones, against those."""

from __future__ import annotations

import numpy as np

from vision.synthesis.tumours.diffusion.engine import sampled_change
from vision.synthesis.tumours.diffusion.networks import LatentDiffusion
from vision.training.diffusion.crops import CropSupply

FIRST_UNSEEN = 10**12
"""Crops from this number on are not trained on; numbers of steps stay below."""


def check_levels(network: LatentDiffusion, supply: CropSupply, *, count: int, voxels: int) -> dict[str, float]:
    """Over `count` painted crops that were not trained on, of contrast against the organ in HU, before it is set:

    `contrast_error_hu` the mean absolute error, `contrast_correlation` with the wished one, and `image_error_hu` the
    mean absolute difference inside the tumour from the CT that the other engine painted.
    """
    network.eval()
    rng = np.random.default_rng([supply.seed, 5])
    wished, got, missed = [], [], []
    for number in range(FIRST_UNSEEN, FIRST_UNSEEN + count):
        crop = supply.painted(number, voxels)
        change = sampled_change(network, crop.before, crop.inside, crop.asked, rng)
        inside = crop.inside > 0
        painted = (crop.before + change)[inside]
        wished.append(crop.asked.level_hu - crop.asked.organ_hu)
        got.append(float(painted.mean()) - crop.asked.organ_hu)
        missed.append(float(np.abs(painted - crop.after[inside]).mean()))
    differing = min(np.std(wished), np.std(got)) > 0
    return {
        "contrast_error_hu": round(float(np.mean(np.abs(np.array(got) - np.array(wished)))), 2),
        "contrast_correlation": round(float(np.corrcoef(wished, got)[0, 1]), 3) if differing else 0.0,
        "image_error_hu": round(float(np.mean(missed)), 2),
    }
