"""The VQ autoencoder: CTs to few codes and back, without norms, so that HU stay HU whatever else a crop holds."""

from __future__ import annotations

import math

import torch
from monai.networks.layers.vector_quantizer import EMAQuantizer, VectorQuantizer
from torch import Tensor, nn
from torch.nn import functional

from vision.synthesis.tumours.diffusion.config import DiffusionConfig

COMMITMENT, CODE_DECAY = 0.25, 0.95
"""DiffTumor's decay is 0.99, for 80,000 steps."""
FAINT_START = 0.1


class VQAutoencoder(nn.Module):
    """Strided convolutions and residual units down to latents, MONAI's quantiser, and the same back.

    MONAI's own VQVAE has rectifiers after its sums: within 30 steps they died, and every CT became grey. Here the units
    begin as nothing, so that a linear autoencoder is where the learning begins.
    """

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        steps = list(zip((1, *config.widths), config.widths, strict=False))
        down: list[nn.Module] = []
        for seen, width in steps:
            down += [nn.Conv3d(seen, width, 4, stride=2, padding=1), ResidualUnit(width)]
        up: list[nn.Module] = [nn.Conv3d(config.code_width, config.widths[-1], 3, padding=1)]
        for width, seen in reversed(steps):
            up += [ResidualUnit(seen), nn.ConvTranspose3d(seen, width, 4, stride=2, padding=1)]
        self.encoder = nn.Sequential(*down, nn.Conv3d(config.widths[-1], config.code_width, 3, padding=1))
        self.decoder = nn.Sequential(*up)
        self.quantizer = VectorQuantizer(
            EMAQuantizer(3, config.codes, config.code_width, COMMITMENT, CODE_DECAY, ddp_sync=False)
        )
        _start(self)

    def encode(self, unit: Tensor) -> Tensor:
        """(B, 1, I, J, K) in -1 to 1 -> (B, C, i, j, k) of any size, before codes are chosen."""
        encodings: Tensor = self.encoder(unit)
        return encodings

    def quantize(self, encodings: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest codes, through which gradients pass straight, and the loss that keeps encodings near them."""
        commitment, codes = self.quantizer(encodings)
        return codes, commitment

    def decode(self, codes: Tensor) -> Tensor:
        """(B, C, i, j, k) -> (B, 1, I, J, K)."""
        drawn: Tensor = self.decoder(codes)
        return drawn


class ResidualUnit(nn.Module):
    """What comes in, and what two convolutions add to it: nothing in the beginning."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(width, width, 3, padding=1)
        self.second = nn.Conv3d(width, width, 3, padding=1)

    def forward(self, values: Tensor) -> Tensor:
        """(B, width, I, J, K) -> the same shape."""
        added: Tensor = self.second(functional.silu(self.first(functional.silu(values))))
        return values + added


def _start(autoencoder: VQAutoencoder) -> None:
    """Weights that keep the size of what passes, units that add nothing, and a last layer that begins near grey."""
    with torch.no_grad():
        for module in autoencoder.modules():
            if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
                seen = module.in_channels * math.prod(module.kernel_size)
                if isinstance(module, nn.ConvTranspose3d):
                    seen //= math.prod(module.stride)
                nn.init.normal_(module.weight, std=math.sqrt(1 / seen))
        for module in autoencoder.modules():
            if isinstance(module, ResidualUnit):
                module.second.weight.zero_()
        for parameter in autoencoder.decoder[-1].parameters():
            parameter.mul_(FAINT_START)
