"""The latent diffusion engine: a network paints the tissue, in 4 steps of denoising, and the rest stays what it was.

After DiffTumor (Chen et al., CVPR 2024), but with one network for all organs and sizes, and only the change that the
network makes is added to the CT, so that the blur of its decoder cancels and the CT's own noise stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vision.errors import UsageError
from vision.geometry import Grid, box_around, resample, working_grid
from vision.synthesis.tumours.diffusion.networks import Asked, LatentDiffusion
from vision.synthesis.tumours.handcrafted import bent_ellipsoid
from vision.synthesis.tumours.parts import Body, paint_part
from vision.synthesis.tumours.protocol import Organ, Painted, Settled, Spacing

SEEN_MM = 18.0
"""Tissue round the tumour that the network sees: three of its latents."""


@dataclass(frozen=True, eq=False)
class Diffusion:
    """Paints with a trained network, on the CPU; `organs` are those whose tumours taught it.

    The network gives the look. Its mean is set to the settled HU, because a network is not trusted with a number, and
    parts finer than its latents are painted as in the other engines.
    """

    network: LatentDiffusion
    organs: tuple[Organ, ...]
    name: str = "diffusion"

    def paint(
        self,
        ct: NDArray[np.float32],
        room: NDArray[np.bool_],
        spacing: Spacing,
        wish: Settled,
        rng: np.random.Generator,
    ) -> Painted:
        """Paint one tumour on a crop: see `Engine`.

        Raises UsageError E_TUMOUR_ROOM, and E_TUMOUR_ORGAN for an organ that the weights have not learned.
        """
        if wish.organ not in self.organs:
            raise UsageError(
                "E_TUMOUR_ORGAN",
                f"The weights of the diffusion engine have not learned tumours of the {wish.organ}.",
                f"Choose from {', '.join(self.organs)}, or another engine.",
            )
        mask, level, surface = bent_ellipsoid(room, spacing, wish, rng)
        box = _near(mask, spacing, SEEN_MM + 4 * wish.edge_mm)
        change = np.zeros(ct.shape, dtype=np.float32)
        change[box] = self._look(ct[box], mask[box], spacing, wish, rng)
        wanted = wish.organ_hu + wish.contrast_hu
        change += np.float32(wanted - float((ct[mask] + change[mask]).mean(dtype=np.float64)))
        for part in wish.parts:
            change = paint_part(part, change, Body(mask, level, surface, spacing, wish), rng)
        return Painted(mask, change, wish.parts)

    def _look(
        self,
        ct: NDArray[np.float32],
        mask: NDArray[np.bool_],
        spacing: Spacing,
        wish: Settled,
        rng: np.random.Generator,
    ) -> NDArray[np.float32]:
        """(I, J, K) HU that the network adds to a crop of any spacing, computed at its own."""
        grid = Grid.from_spacing((ct.shape[0], ct.shape[1], ct.shape[2]), spacing)
        own = working_grid(grid, self.network.config.spacing_mm)
        inside = np.clip(resample(mask.astype(np.float32), grid, own), 0, 1)
        asked = Asked(wish.organ, wish.kind, wish.organ_hu + wish.contrast_hu, wish.organ_hu, wish.diameter_mm)
        return resample(sampled_change(self.network, resample(ct, grid, own), inside, asked, rng), own, grid)


def sampled_change(
    network: LatentDiffusion,
    hu: NDArray[np.float32],
    inside: NDArray[np.float32],
    asked: Asked,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """(I, J, K) float32 HU to add to a crop `hu` at the network's spacing; `inside` (I, J, K) is 0 to 1.

    Every chance comes from `rng`. The crop is padded to what the network can halve.
    """
    config = network.config
    padding = [(0, -count % config.multiple) for count in hu.shape]
    padded = torch.from_numpy(np.pad(hu, padding, mode="edge").astype(np.float32))[None, None]
    share = torch.from_numpy(np.pad(inside, padding).astype(np.float32))[None, None]
    shape = (1, config.code_width, *(count // config.stride for count in padded.shape[2:]))
    noise = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    with torch.inference_mode():
        unit = network.to_unit(padded)
        sampled = network.sample(network.conditions(unit, share, [asked]), noise, generator)
        change: NDArray[np.float32] = network.change_hu(sampled, unit)[0, 0].numpy()
    i, j, k = hu.shape
    return change[:i, :j, :k]


def _near(mask: NDArray[np.bool_], spacing: Spacing, margin_mm: float) -> tuple[slice, slice, slice]:
    """The voxels within a margin of the mask's box."""
    spans = box_around(mask)
    assert spans is not None, "a grown mask is not empty"
    i, j, k = (
        slice(max(0, span.start - round(margin_mm / step)), min(count, span.stop + round(margin_mm / step)))
        for span, step, count in zip(spans, spacing, mask.shape, strict=True)
    )
    return i, j, k
