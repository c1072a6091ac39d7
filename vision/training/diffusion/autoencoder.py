"""First stage: the VQ autoencoder learns to draw CTs from few codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vision.synthesis.tumours.diffusion.networks import LatentDiffusion
from vision.training.diffusion.crops import CropSupply

DEAD_BELOW = 0.5
"""A code that so few latents of a step are nearest to, on average, begins again as one of them (DiffTumor: 1)."""


@dataclass(frozen=True)
class AutoencoderStage:
    """Crops and rates of the first stage.

    The loss is that of DiffTumor without its perceptual and adversarial terms, whose networks would have to be
    downloaded or trained: L1 of HU and of their differences to the next voxel, and the codes' commitment.
    """

    steps: int = 20_000
    unquantised_steps: int = 200
    """Steps before there are codes: while the decoder knows nothing the commitment alone would pull all latents into
    one point."""
    voxels: int = 32
    batch: int = 4
    learning_rate: float = 1e-3

    def optimiser(self, network: LatentDiffusion) -> torch.optim.Optimizer:
        """Of everything but the codes, which follow by averages."""
        learned = [parameter for parameter in network.autoencoder.parameters() if parameter.requires_grad]
        return torch.optim.Adam(learned, lr=self.learning_rate, betas=(0.9, 0.99))

    def loss(self, network: LatentDiffusion, supply: CropSupply, step: int, device: torch.device) -> Tensor:
        """Loss of one step; the codes move on, and dead ones begin again."""
        numbers = range(step * self.batch, (step + 1) * self.batch)
        crops = np.stack([supply.plain(number, self.voxels) for number in numbers])[:, None]
        unit = network.to_unit(torch.from_numpy(crops).to(device))
        network.train()
        encodings = network.autoencoder.encode(unit)
        if step < self.unquantised_steps:
            return _missed(network.autoencoder.decode(encodings), unit)
        # Before they are used: all codes are dead then, and random ones would say nothing of the latents.
        revive_codes(network, encodings.detach(), np.random.default_rng([supply.seed, 3, step]))
        codes, commitment = network.autoencoder.quantize(encodings)
        return _missed(network.autoencoder.decode(codes), unit) + commitment


def revive_codes(network: LatentDiffusion, encodings: Tensor, rng: np.random.Generator) -> int:
    """Make dead codes equal to some of the (B, C, i, j, k) encodings; returns how many were dead."""
    quantizer = network.autoencoder.quantizer.quantizer
    dead = torch.nonzero(quantizer.ema_cluster_size < DEAD_BELOW)[:, 0]
    flat = encodings.movedim(1, -1).reshape(-1, encodings.shape[1])
    chosen = flat[torch.from_numpy(rng.integers(len(flat), size=len(dead))).to(flat.device)]
    with torch.no_grad():
        network.codebook()[dead] = chosen
        quantizer.ema_w[dead] = chosen
        quantizer.ema_cluster_size[dead] = 1.0
    return len(dead)


def _missed(drawn: Tensor, unit: Tensor) -> Tensor:
    """L1 of values and of the differences to the next voxel along each axis: edges are to be sharp."""
    edges = torch.stack([(drawn.diff(dim=axis) - unit.diff(dim=axis)).abs().mean() for axis in (2, 3, 4)]).mean()
    total: Tensor = functional.l1_loss(drawn, unit) + edges
    return total
