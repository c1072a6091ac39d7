"""A network that knows nothing but HU windows: what it should find is known to the voxel."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor, nn

from vision.geometry import CTVolume, Grid
from vision.models.backbones.compact import space_to_depth
from vision.models.backbones.features import Features
from vision.models.coarse_to_fine import UniversalSegmenter
from vision.models.runtime import Runtime
from vision.models.universal.network import UniversalConfig
from vision.models.universal.phrases import Phrase, phrase_of

CPU = Runtime(torch.device("cpu"), torch.float32)
LEVELS = {
    "liver": (50.0, 275.0),
    "liver_lesion": (150.0, 275.0),
    "spleen": (-60.0, 40.0),
    "kidney_left": (-60.0, 40.0),
    "aorta": (-5000.0, -4000.0),
}
"""HU windows; the spleen and the left kidney look alike, the aorta is nowhere."""
STEEPNESS = 0.05
"""Logit per HU."""


class ThresholdNetwork(nn.Module):
    """Answers like a `UniversalNetwork` of stride 2, by windows of HU."""

    def __init__(self, *structures: str) -> None:
        super().__init__()
        self.config = UniversalConfig(structures=structures)
        self.backbone = SimpleNamespace(stride=2, multiple=4)
        self.fine = SimpleNamespace(multiple=2)
        self.asked: list[str] = []

    def phrases(self, phrases: list[Phrase]) -> Tensor:
        windows = {phrase_of(name): LEVELS[name] for name in self.config.structures}
        return torch.tensor([windows[phrase] for phrase in phrases])

    def queries(self, structures: tuple[str, ...]) -> Tensor:
        return self.phrases([phrase_of(name) for name in structures])

    def see(self, volume: Tensor) -> Features:
        return Features(space_to_depth(volume), volume[..., ::4, ::4, ::4])

    def coarse(self, features: Features, queries: Tensor) -> Tensor:
        low, high = self.config.window_hu
        hu = ((features.decoded + 1) * (high - low) / 2 + low).flatten(2)[:, None]
        edges = queries[None, :, :, None, None]
        return torch.minimum(hu - edges[:, :, 0], edges[:, :, 1] - hu) * STEEPNESS

    def fine_features(self, volume: Tensor, decoded: Tensor) -> Tensor:
        assert tuple(2 * n for n in volume.shape[2:]) == tuple(8 * n for n in decoded.shape[2:])
        self.asked.append(str(tuple(volume.shape[2:])))
        return space_to_depth(volume)

    def refine(self, fine: Tensor, bottleneck: Tensor, coarse: Tensor, queries: Tensor) -> Tensor:
        assert tuple(coarse.shape[2:]) == tuple(fine.shape[2:])
        return self.coarse(Features(fine, bottleneck), queries)


def threshold_segmenter(*structures: str) -> UniversalSegmenter:
    """A segmenter that finds each structure by its HU."""
    return UniversalSegmenter(ThresholdNetwork(*structures), name="threshold", runtime=CPU)  # type: ignore[arg-type]


def ball_ct(grid: Grid, *balls: tuple[tuple[float, float, float], float], slope: float = 10.0) -> CTVolume:
    """A CT whose HU fall by `slope` a mm from the centre of each ball (RAS+ mm, radius in mm), 50 at its surface."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
    mm = grid.to_mm(index)
    depth = [radius - np.linalg.norm(mm - centre, axis=-1) for centre, radius in balls]
    hu = np.full(grid.shape, -1000.0) if not depth else 50.0 + slope * np.max(depth, axis=0)
    return CTVolume(np.clip(hu, -1000, 1000).astype(np.float32), grid)


def box_ct(grid: Grid, centre: tuple[float, float, float], half_mm: float) -> tuple[CTVolume, np.ndarray]:
    """A CT whose HU fall by 10 a mm along the normals of a cube's faces, 50 on them, and where it is far from edges.

    Linear fields stay what they are under every resampling, but for the edges.
    """
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
    depth = np.sort(half_mm - np.abs(grid.to_mm(index) - centre), axis=-1)
    hu = np.clip(50.0 + 10.0 * depth[..., 0], -1000, 1000).astype(np.float32)
    return CTVolume(hu, grid), depth[..., 1] - depth[..., 0] > 8.0
