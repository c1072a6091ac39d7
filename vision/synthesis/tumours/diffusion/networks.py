"""The networks of the diffusion engine, from MONAI's parts: what they are told, latents, noise, samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from monai.networks.nets import DiffusionModelUNet
from monai.networks.schedulers import DDPMScheduler
from torch import Tensor, nn
from torch.nn import functional

from vision.synthesis.tumours.diffusion.autoencoder import VQAutoencoder
from vision.synthesis.tumours.diffusion.config import GROUPS, DiffusionConfig
from vision.synthesis.tumours.protocol import KINDS, ORGANS, Kind, Organ

NUMBERS = 3
TYPICAL_MM = 20.0


@dataclass(frozen=True)
class Asked:
    """What is wanted of one tumour in words and numbers: where, which kind, its mean HU, its organ's HU, its size."""

    organ: Organ
    kind: Kind
    level_hu: float
    organ_hu: float
    diameter_mm: float


@dataclass(frozen=True)
class Conditions:
    """What the denoiser sees beside the noisy latent.

    `known` (B, C, i, j, k) latents of the CT without the tumour's voxels, `inside` (B, 1, i, j, k) the share of each
    latent's voxels in the tumour, `numbers` (B, NUMBERS), `look` (B,) int64 organ and kind.
    """

    known: Tensor
    inside: Tensor
    numbers: Tensor
    look: Tensor


class LatentDiffusion(nn.Module):
    """A VQ autoencoder and a U-Net that takes the noise out of its latents, told about organ, kind, level and size.

    As in DiffTumor the latents of the CT whose tumour voxels are zeroed, and the mask, are concatenated to the noisy
    latent. What is asked for is concatenated too, so that one network serves all organs and sizes. The network predicts
    v, not the noise: of 4 steps the first sees noise alone (signal 1e-4), from which noise tells nothing of the sample.
    """

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        self.config = config
        self.autoencoder = VQAutoencoder(config)
        self.denoiser = DiffusionModelUNet(
            spatial_dims=3,
            in_channels=2 * config.code_width + 1 + NUMBERS,
            out_channels=config.code_width,
            num_res_blocks=1,
            channels=config.unet_widths,
            attention_levels=(False,) * len(config.unet_widths),
            norm_num_groups=GROUPS,
            num_head_channels=GROUPS,
            num_class_embeds=len(ORGANS) * len(KINDS),
        )
        self.scheduler = DDPMScheduler(config.steps, schedule="cosine", prediction_type="v_prediction")

    def to_unit(self, hu: Tensor) -> Tensor:
        """HU of any shape -> -1 to 1 within the window."""
        low, high = self.config.window_hu
        return (2 * (hu - low) / (high - low) - 1).clamp(-1, 1)

    def encode(self, unit: Tensor) -> Tensor:
        """(B, 1, I, J, K) CTs in -1 to 1 -> (B, C, i, j, k) latents, -1 to 1 over the range of the codes."""
        low, high = self._range()
        latent = self.autoencoder.encode(unit)
        return (2 * (latent - low) / (high - low) - 1).clamp(-1, 1)

    def decode(self, latent: Tensor) -> Tensor:
        """(B, C, i, j, k) latents -> (B, 1, I, J, K) CTs in units of the window, from the nearest codes."""
        low, high = self._range()
        codes, _ = self.autoencoder.quantize(low + (latent + 1) / 2 * (high - low))
        return self.autoencoder.decode(codes)

    def conditions(self, unit: Tensor, inside: Tensor, asked: Sequence[Asked]) -> Conditions:
        """What the denoiser is told: (B, 1, I, J, K) CTs in -1 to 1, shares inside the tumour, a wish for each."""
        known = self.encode(unit * (1 - inside))
        numbers = torch.tensor([_numbers(one, self.config.window_hu) for one in asked], device=unit.device)
        look = torch.tensor([ORGANS.index(one.organ) * len(KINDS) + KINDS.index(one.kind) for one in asked])
        pooled = functional.avg_pool3d(inside, self.config.stride)
        return Conditions(known, pooled, numbers, look.to(unit.device))

    def velocity(self, noisy: Tensor, steps: Tensor, conditions: Conditions) -> Tensor:
        """(B, C, i, j, k) predicted v of noisy latents at `steps` (B,), the last being the noisiest."""
        numbers = conditions.numbers[:, :, None, None, None].expand(-1, -1, *noisy.shape[2:])
        seen = torch.cat([noisy, conditions.known, 2 * conditions.inside - 1, numbers], dim=1)
        predicted: Tensor = self.denoiser(seen, steps, class_labels=conditions.look)
        return predicted

    def sample(self, conditions: Conditions, noise: Tensor, generator: torch.Generator) -> Tensor:
        """(B, C, i, j, k) latents in -1 to 1 from as much noise; `generator` gives that of the steps between."""
        latent = noise
        for step in reversed(range(self.config.steps)):
            steps = torch.full((len(noise),), step, device=noise.device)
            latent = self.scheduler.step(self.velocity(latent, steps, conditions), step, latent, generator)[0]
        return latent.clamp(-1, 1)

    def change_hu(self, sampled: Tensor, unit: Tensor) -> Tensor:
        """(B, 1, I, J, K) HU to add: the decoded sample minus the decoded CT, so that the decoder's blur cancels."""
        low, high = self.config.window_hu
        return (self.decode(sampled) - self.decode(self.encode(unit))) * (high - low) / 2

    def codebook(self) -> Tensor:
        """(codes, C) the vectors that latents are made of; learned by averages, not by gradients."""
        return self.autoencoder.quantizer.quantizer.embedding.weight

    def _range(self) -> tuple[Tensor, Tensor]:
        codes = self.codebook().detach()
        return codes.min(), codes.max()


def _numbers(asked: Asked, window_hu: tuple[float, float]) -> list[float]:
    """Level and organ in units of the window, and the size by its logarithm."""
    low, high = window_hu
    levels = [2 * (hu - low) / (high - low) - 1 for hu in (asked.level_hu, asked.organ_hu)]
    return [*levels, math.log(asked.diameter_mm / TYPICAL_MM)]
