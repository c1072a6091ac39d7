"""WindowedSegmenter: a converted public checkpoint, run by sliding windows; masks on the CT's own grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.ndimage import binary_dilation
from torch import nn

from vision.geometry import CTVolume, Grid, Mask, box_around, cropped_grid, resample, working_grid
from vision.measure import largest_component
from vision.models.checkpoints.classes import channels_of
from vision.models.checkpoints.networks import build_network
from vision.models.checkpoints.sliding import CERTAIN, slide
from vision.models.registry import ModelEntry
from vision.models.runtime import Runtime, pick_runtime
from vision.models.tensors import read_tensors, shapes_of
from vision.segmenter import Encoding, Progress, no_progress
from vision.structures import by_name

BODY_MARGIN_VOXELS = 10
HALF = CERTAIN // 2 + 1
ONE_PIECE = frozenset(
    (
        *("spleen", "kidney_left", "kidney_right", "gall_bladder", "liver"),
        *("stomach", "aorta", "postcava", "pancreas"),
    )
)
"""Structures of which only the largest piece is kept: SuPreM's post-processing, direct_inference TEMPLATE['target']."""

HOST_REACH_VOXELS = 2
"""A lesion counts within its organ and so far around it, as the Universal Model's filter by organ region allows."""
TOUCHING = np.ones((3, 3, 3), dtype=bool)

Voxel = tuple[int, int, int]


@dataclass(frozen=True)
class WindowedState:
    """Probabilities (S, I, J, K) uint8 in 255ths on the working grid, RAS order, around the body."""

    grid: Grid
    probabilities: np.ndarray


class WindowedSegmenter:
    """The `Segmenter` of a converted checkpoint. `config` is the checked `network` of its description."""

    def __init__(
        self, network: nn.Module, config: Mapping[str, Any], *, name: str, runtime: Runtime | None = None
    ) -> None:
        self.runtime = runtime or pick_runtime()
        self.network = network.eval().to(self.runtime.device)
        self.config = config
        self.channels = channels_of(config["order"])
        self.name = f"{name} on {self.runtime}"
        self.structures = frozenset(self.channels)
        self._places = {structure: place for place, structure in enumerate(self.channels)}
        asked = [channel for channels in self.channels.values() for channel in channels]
        self._classes = torch.tensor(asked, device=self.runtime.device)
        self._first = np.cumsum([0, *(len(channels) for channels in self.channels.values())])[:-1]

    def encode(self, ct: CTVolume, progress: Progress = no_progress) -> Encoding:
        """Run the network over the body, window by window. `progress` may raise Cancelled between two windows."""
        progress("resampling the CT", 0.0)
        grid = working_grid(ct.grid, self.config["spacing_mm"])
        low, high = self.config["window_hu"]
        volume = (np.clip(resample(ct.hu, ct.grid, grid), low, high) - low) / np.float32(high - low)
        start, stop = body_box(volume > 0)
        inside = volume[start[0] : stop[0], start[1] : stop[1], start[2] : stop[2]]

        def told(share: float) -> None:
            progress("looking at the CT", 0.05 + 0.95 * share)

        probabilities = slide(inside, self.config["window_voxels"], self._predict, count=len(self.channels), told=told)
        progress("looking at the CT", 1.0)
        return Encoding(ct=ct, state=WindowedState(cropped_grid(grid, start, stop), probabilities))

    def segment(self, encoding: Encoding, structure: str) -> Mask:
        """The mask of one structure on the CT's own grid: probability at least one half.

        Of the large organs the largest piece; of a lesion what lies in or at its organ. The score is the mean
        probability inside. Raises KeyError for a structure that is not in `structures`.
        """
        state: WindowedState = encoding.state
        coarse = self._coarse(state, structure)
        grid = encoding.ct.grid
        voxels = np.zeros(grid.shape, dtype=bool)
        if coarse.box is None:
            return Mask(voxels, grid, structure)
        start, stop = widened(coarse.box.start, coarse.box.stop, state.grid.shape, 2)
        window = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        probability = state.probabilities[self._places[structure]][window].astype(np.float32) / CERTAIN
        inside = coarse.voxels[window]
        # The voxels around place the surface between voxels, except those that were cleaned away.
        kept = probability * (inside | (binary_dilation(inside, TOUCHING) & (probability < 0.5)))
        source = cropped_grid(state.grid, start, stop)
        first, last = reached(source, grid)
        fine = resample(kept, source, cropped_grid(grid, first, last)) >= 0.5
        voxels[first[0] : last[0], first[1] : last[1], first[2] : last[2]] = fine
        score = float(probability[inside].mean())
        return Mask(voxels, grid, structure, score=round(score, 3))

    def confidence(self, encoding: Encoding, part: Mask) -> float | None:
        """Mean probability over the voxels of one piece, read at the nearest voxels of the working grid."""
        if part.box is None or part.structure not in self.structures:
            return None
        state: WindowedState = encoding.state
        inside = np.argwhere(part.voxels[part.box.slices]) + part.box.start
        nearest = np.round(state.grid.to_ijk(part.grid.to_mm(inside))).astype(int)
        i, j, k = np.clip(nearest, 0, np.asarray(state.grid.shape) - 1).T
        values = state.probabilities[self._places[part.structure], i, j, k]
        return round(float(values.mean()) / CERTAIN, 3)

    def _coarse(self, state: WindowedState, structure: str) -> Mask:
        """One structure on the working grid, cleaned."""
        plane = state.probabilities[self._places[structure]] >= HALF
        mask = Mask(plane, state.grid, structure)
        if structure in ONE_PIECE:
            return largest_component(mask)
        hosts = [host for host in by_name(structure).lesion_of if host in self.structures]
        if not hosts or mask.box is None:
            return mask
        start, stop = widened(mask.box.start, mask.box.stop, state.grid.shape, HOST_REACH_VOXELS)
        window = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        near = np.zeros(state.grid.shape, dtype=bool)
        for host in hosts:
            near[window] |= state.probabilities[self._places[host]][window] >= HALF
        near[window] = binary_dilation(near[window], TOUCHING, iterations=HOST_REACH_VOXELS)
        return Mask(plane & near, state.grid, structure)

    def _predict(self, window: np.ndarray) -> np.ndarray:
        """(W, W, W) in [0, 1] -> (S, W, W, W) logits; of the channels of one structure the largest."""
        volume = torch.from_numpy(np.ascontiguousarray(window, dtype=np.float32))[None, None]
        half = self.runtime.dtype != torch.float32
        with torch.inference_mode(), torch.autocast(self.runtime.device.type, self.runtime.dtype, enabled=half):
            logits = self.network(volume.to(self.runtime.device), self._classes)[0]
        return np.maximum.reduceat(logits.float().cpu().numpy(), self._first, axis=0)


def load_windowed(entry: ModelEntry, *, device: str | None = None) -> WindowedSegmenter:
    """The segmenter of a converted checkpoint. Raises WeightsError as `read_tensors` and `build_network` do."""
    network = build_network(entry.kind, entry.config)
    # Only tables of integers are not in the file; the network has computed them.
    network.load_state_dict(read_tensors(entry, shapes_of(network)), strict=False)
    return WindowedSegmenter(network, entry.config, name=entry.title, runtime=pick_runtime(device))


def body_box(body: np.ndarray) -> tuple[Voxel, Voxel]:
    """Start and stop of the voxels that are not air, with a margin; of all voxels when there is only air."""
    spans = box_around(body, BODY_MARGIN_VOXELS)
    if spans is None:
        return (0, 0, 0), (body.shape[0], body.shape[1], body.shape[2])
    i, j, k = spans
    return (i.start, j.start, k.start), (i.stop, j.stop, k.stop)


def widened(start: Voxel, stop: Voxel, shape: tuple[int, ...], voxels: int) -> tuple[Voxel, Voxel]:
    """A box grown by some voxels on every side, within a grid of that shape."""
    low = [max(0, first - voxels) for first in start]
    high = [min(size, last + voxels) for last, size in zip(stop, shape, strict=True)]
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def reached(source: Grid, target: Grid) -> tuple[Voxel, Voxel]:
    """The half-open voxels of `target` whose centres lie within the volume of `source`, at least one."""
    corners = np.stack(np.meshgrid(*[(-0.5, size - 0.5) for size in source.shape]), -1).reshape(-1, 3)
    places = target.to_ijk(source.to_mm(corners))
    low = np.clip(np.floor(places.min(axis=0)).astype(int), 0, np.asarray(target.shape) - 1)
    high = np.clip(np.ceil(places.max(axis=0)).astype(int) + 1, low + 1, target.shape)
    return (int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2]))
