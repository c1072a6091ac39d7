"""The look at the whole scan: where the body is, and the network's features of it, slab by slab when it is long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

import cc3d
import numpy as np
import torch
from scipy.ndimage import binary_fill_holes
from torch import Tensor

from vision.geometry import CTVolume, Grid, box_around, cropped_grid, working_grid
from vision.models.backbones.features import Features
from vision.models.coarse_to_fine.region import Voxels, cover, ramp
from vision.models.coarse_to_fine.sampling import sample_pooled_hu
from vision.models.coarse_to_fine.views import PLAIN, View
from vision.models.runtime import Runtime
from vision.models.universal.network import UniversalNetwork, scale_hu
from vision.segmenter import Progress

SLAB_VOXELS = 12_000_000
"""Largest part of the coarse grid in one pass; longer scans go slab by slab along the body axis."""
OVERLAP_VOXELS = 64
"""Coarse voxels that two slabs share at least; over them the features of one turn linearly into the other's."""
ABOVE_AIR_HU = 15.0
"""Body is what lies this far above the low end of the window: fat and soft tissue, not air."""
BODY_MARGIN = 3
"""Coarse voxels of air kept around the body."""
BODY_SHARE = 0.1
"""Pieces of at least this share of the largest belong to the body: legs, arms."""


@dataclass(frozen=True)
class Look:
    """`grid` is the part of the coarse grid that holds the body, `seen` each view with the features of its volume,
    which is padded at the end of each axis by the low end of the window to sizes `padded`; `body` (I, J, K) bool are
    the voxels of `grid` inside the body."""

    grid: Grid
    padded: Voxels
    seen: tuple[tuple[View, Features], ...]
    body: np.ndarray

    @property
    def features(self) -> Features:
        """Those of the first view."""
        return self.seen[0][1]


def computing(runtime: Runtime) -> AbstractContextManager[object]:
    """No gradients, and the number format of the runtime."""
    stack = ExitStack()
    stack.enter_context(torch.inference_mode())
    stack.enter_context(torch.autocast(runtime.device.type, runtime.dtype, enabled=runtime.dtype != torch.float32))
    return stack


def look_at(
    ct: CTVolume,
    network: UniversalNetwork,
    *,
    views: Sequence[View],
    multiple: int,
    runtime: Runtime,
    progress: Progress,
) -> Look:
    """See the whole scan once in each view. `multiple` is what padded sizes are multiples of."""
    window_hu = network.config.window_hu
    progress("resampling the CT", 0.0)
    whole = working_grid(ct.grid, network.config.spacing_mm)
    hu = sample_pooled_hu(ct, whole, window_hu=window_hu)
    body = find_body(hu, above_hu=window_hu[0] + ABOVE_AIR_HU)
    box = box_around(body, BODY_MARGIN)
    assert box is not None, "find_body leaves no body empty"
    grid = cropped_grid(whole, _corner([span.start for span in box]), _corner([span.stop for span in box]))
    volume = PLAIN.shifted(scale_hu(torch.from_numpy(hu[box]), window_hu)[None, None], multiple=multiple)
    size = _corner(volume.shape[2:])
    seen = []
    for number, view in enumerate(views):

        def step(share: float, done: int = number) -> None:
            progress("looking at the CT", 0.2 + 0.8 * (done + share) / len(views))

        shown = view.shifted(view.shown(volume, window_hu), multiple=multiple)
        features = see_in_slabs(network, shown, multiple=multiple, runtime=runtime, progress=step)
        seen.append((view, view.returned(features, size, stride=network.backbone.stride)))
    progress("looking at the CT", 1.0)
    return Look(grid, size, tuple(seen), body[box])


def see_in_slabs(
    network: UniversalNetwork, volume: Tensor, *, multiple: int, runtime: Runtime, progress: Callable[[float], None]
) -> Features:
    """The features of (1, 1, I, J, K) scaled HU, slab by slab when it is long; `progress` gets the share done."""
    depth = volume.shape[-1]
    spans = plan_slabs(_corner(volume.shape[2:]), multiple=multiple)
    parts = []
    for number, (first, last) in enumerate(spans):
        progress(number / len(spans))
        with computing(runtime):
            slab = volume[..., first:last].to(runtime.device).contiguous(memory_format=torch.channels_last_3d)
            features = network.see(slab)
            parts.append(Features(features.decoded.to(runtime.dtype), features.bottleneck.to(runtime.dtype)))
    step = (spans[0][1] - spans[0][0]) // parts[0].bottleneck.shape[-1]
    decoded = blend([part.decoded for part in parts], spans, depth=depth, step=network.backbone.stride)
    return Features(decoded, blend([part.bottleneck for part in parts], spans, depth=depth, step=step))


def plan_slabs(padded: Voxels, *, multiple: int) -> list[tuple[int, int]]:
    """The slabs (first, last) along the body axis of a padded volume: one, unless it is long."""
    overlap = -(-OVERLAP_VOXELS // multiple) * multiple
    most = max(3 * overlap, SLAB_VOXELS // (padded[0] * padded[1]))
    count = 1 if padded[2] <= most else -(-(padded[2] - overlap) // (most - overlap))
    return cover(padded[2], count, overlap=overlap, multiple=multiple)


def blend(parts: Sequence[Tensor], spans: Sequence[tuple[int, int]], *, depth: int, step: int) -> Tensor:
    """Put (1, C, I, J, k) features of slabs together; `step` input voxels of the body axis are one of theirs."""
    if len(parts) == 1:
        return parts[0]
    total = torch.zeros((*parts[0].shape[:-1], depth // step), dtype=torch.float32, device=parts[0].device)
    weight = torch.zeros(depth // step, dtype=torch.float32, device=parts[0].device)
    overlap = -(-OVERLAP_VOXELS // step)
    for part, (first, last) in zip(parts, spans, strict=True):
        window = slice(first // step, last // step)
        share = torch.from_numpy(ramp((window.start, window.stop), (0, depth // step), overlap)).to(part.device)
        total[..., window] += part * share
        weight[window] += share
    return (total / weight).to(parts[0].dtype)


def find_body(hu: np.ndarray, *, above_hu: float) -> np.ndarray:
    """(I, J, K) bool: the large pieces of tissue and the air that they enclose in axial slices; all where none is.

    The cushions of a table are air to the network's window, and lie outside.
    """
    labels, count = cc3d.connected_components((hu > above_hu).view(np.uint8), connectivity=6, return_N=True)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    body = (sizes >= max(1, BODY_SHARE * sizes.max()))[labels]
    if not body.any():
        return np.ones(hu.shape, dtype=bool)
    return np.stack([binary_fill_holes(body[:, :, k]) for k in range(hu.shape[2])], axis=2)


def _corner(values: Sequence[int]) -> Voxels:
    return values[0], values[1], values[2]
