"""Second stage: the denoiser learns latents of tumours, given the CT around them and what is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from vision.synthesis.tumours.diffusion.networks import Conditions, LatentDiffusion
from vision.training.diffusion.crops import CropSupply, PaintedCrop


@dataclass(frozen=True)
class DenoiserStage:
    """Crops and rates of the second stage. `kept` painted crops are drawn from; each step adds one and drops one."""

    steps: int = 20_000
    voxels: int = 48
    batch: int = 4
    kept: int = 64
    learning_rate: float = 2e-3
    inside_weight: float = 4.0
    """How much more a latent in the tumour counts than one beside it, which the network is shown."""

    def optimiser(self, network: LatentDiffusion) -> torch.optim.Optimizer:
        """Of the denoiser alone."""
        return torch.optim.AdamW(network.denoiser.parameters(), lr=self.learning_rate, weight_decay=1e-3)


@dataclass
class Shelf:
    """Painted crops as latents: (1, C, i, j, k) with a tumour, and what the denoiser is told of each."""

    stage: DenoiserStage
    latents: list[Tensor] = field(default_factory=list)
    told: list[Conditions] = field(default_factory=list)

    def loss(self, network: LatentDiffusion, supply: CropSupply, step: int, device: torch.device) -> Tensor:
        """L1 of v over a batch at steps of noise drawn evenly (DiffTumor: L1 of the noise)."""
        network.eval()
        self._add(network, supply, step, device)
        rng = np.random.default_rng([supply.seed, 4, step])
        chosen = rng.integers(len(self.latents), size=self.stage.batch)
        latent, told = torch.cat([self.latents[at] for at in chosen]), _stacked([self.told[at] for at in chosen])
        noise = torch.from_numpy(rng.standard_normal(latent.shape, dtype=np.float32)).to(device)
        steps = torch.from_numpy(rng.integers(network.config.steps, size=len(latent))).to(device)
        noisy = network.scheduler.add_noise(latent, noise, steps)
        wanted = network.scheduler.get_velocity(latent, noise, steps)
        network.denoiser.train()
        missed = (network.velocity(noisy, steps, told) - wanted).abs().mean(dim=1, keepdim=True)
        weight = 1 + self.stage.inside_weight * told.inside
        return (missed * weight).sum() / weight.sum()

    def _add(self, network: LatentDiffusion, supply: CropSupply, step: int, device: torch.device) -> None:
        """Put one crop more on the shelf, or as many as a batch needs."""
        missing = max(1, self.stage.batch - len(self.latents))
        for number in range(step, step + missing * self.stage.steps, self.stage.steps):
            latent, told = encoded(network, supply.painted(number, self.stage.voxels), device)
            self.latents.append(latent)
            self.told.append(told)
        del self.latents[: -self.stage.kept], self.told[: -self.stage.kept]


def encoded(network: LatentDiffusion, crop: PaintedCrop, device: torch.device) -> tuple[Tensor, Conditions]:
    """The latents (1, C, i, j, k) of a painted crop, and what is told of it."""
    after, inside = (torch.from_numpy(array)[None, None].to(device) for array in (crop.after, crop.inside))
    with torch.no_grad():
        unit = network.to_unit(after)
        return network.encode(unit), network.conditions(unit, inside, [crop.asked])


def _stacked(told: list[Conditions]) -> Conditions:
    return Conditions(
        torch.cat([one.known for one in told]),
        torch.cat([one.inside for one in told]),
        torch.cat([one.numbers for one in told]),
        torch.cat([one.look for one in told]),
    )
