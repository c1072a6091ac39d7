"""CompactSegmenter: a whole scan through the compact network in one pass, masks on the CT's own grid."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from scipy.ndimage import binary_dilation
from torch.nn import functional

from vision.errors import WeightsError
from vision.geometry import CTVolume, Grid, Mask, cropped_grid, resample, working_grid
from vision.measure import components, largest_component
from vision.models.compact import CompactConfig, CompactUNet, scale_hu
from vision.models.registry import ModelEntry
from vision.models.runtime import Runtime, pick_runtime
from vision.models.weights_file import INSTALL_AGAIN, StoredTensor, read_weights
from vision.segmenter import Encoding, Progress, no_progress
from vision.structures import by_name

SLAB_VOXELS = 12_000_000
"""Largest block of working-grid voxels in one pass; longer scans go slab by slab along the body axis."""
HALO_VOXELS = 48
"""Overlap of two slabs on each side, working-grid voxels."""
SMALLEST_LESION_ML = 0.06
"""Lesion pieces below it (a ball of 5 mm) are not told from noise on a 2 mm grid."""
TOUCHING = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True)
class CompactState:
    """Probabilities (C, I, J, K) float16 on the working grid, RAS order."""

    grid: Grid
    probabilities: np.ndarray


class CompactSegmenter:
    """The `Segmenter` of the compact network."""

    def __init__(self, network: CompactUNet, *, name: str, runtime: Runtime | None = None) -> None:
        self.runtime = runtime or pick_runtime()
        self.config = network.config
        self.network = network.eval().to(self.runtime.device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.name = f"{name} on {self.runtime}"
        self.structures = frozenset(self.config.channels)

    def encode(self, ct: CTVolume, progress: Progress = no_progress) -> Encoding:
        """Run the network once over the whole scan."""
        progress("resampling the CT", 0.0)
        grid = working_grid(ct.grid, self.config.spacing_mm)
        low, high = (ct.hu.dtype.type(edge) for edge in self.config.window_hu)
        hu = resample(np.clip(ct.hu, low, high), ct.grid, grid)
        probabilities = np.empty((len(self.config.channels), *grid.shape), dtype=np.float16)
        slabs = plan_slabs(grid.shape, self.network.multiple)
        for number, (first, last, keep_first, keep_last) in enumerate(slabs):
            progress("looking at the CT", 0.1 + 0.9 * number / len(slabs))
            part = self._infer(hu[:, :, first:last])
            probabilities[:, :, :, keep_first:keep_last] = part[:, :, :, keep_first - first : keep_last - first]
        progress("looking at the CT", 1.0)
        return Encoding(ct=ct, state=CompactState(grid, probabilities))

    def segment(self, encoding: Encoding, structure: str) -> Mask:
        """The mask of one structure on the CT's own grid: probability at least one half, largest piece of an organ.

        A lesion keeps all its pieces that touch the organ it can lie in. The score is the mean probability inside.
        """
        if structure not in self.structures:
            raise KeyError(structure)
        state: CompactState = encoding.state
        coarse = self._coarse(state, structure)
        voxels = np.zeros(encoding.ct.grid.shape, dtype=bool)
        if coarse.box is None:
            return Mask(voxels, encoding.ct.grid, structure)
        probability = state.probabilities[self.config.channels.index(structure)]
        start, stop, window = widen(coarse, 2)
        inside = coarse.voxels[window]
        kept = probability[window].astype(np.float32) * binary_dilation(inside, TOUCHING)
        if not by_name(structure).lesion_of:
            kept = np.maximum(kept, inside & (kept < 0.5))
        low, high = overlap_box(cropped_grid(state.grid, start, stop), encoding.ct.grid)
        fine = resample(kept, cropped_grid(state.grid, start, stop), cropped_grid(encoding.ct.grid, low, high)) >= 0.5
        voxels[low[0] : high[0], low[1] : high[1], low[2] : high[2]] = fine
        score = float(kept[inside].mean())
        return Mask(voxels, encoding.ct.grid, structure, score=round(score, 3))

    def confidence(self, encoding: Encoding, part: Mask) -> float | None:
        """Mean probability over the voxels of one piece, read at the nearest voxels of the working grid."""
        if part.box is None or part.structure not in self.structures:
            return None
        state: CompactState = encoding.state
        inside = np.argwhere(part.voxels[part.box.slices]) + part.box.start
        nearest = np.round(state.grid.to_ijk(part.grid.to_mm(inside))).astype(int)
        i, j, k = np.clip(nearest, 0, np.asarray(state.grid.shape) - 1).T
        values = state.probabilities[self.config.channels.index(part.structure), i, j, k]
        return round(float(values.astype(np.float32).mean()), 3)

    def _coarse(self, state: CompactState, structure: str) -> Mask:
        """One structure on the working grid, cleaned: an organ with the lesions in it, or the lesions of its organs."""
        organs = by_name(structure).lesion_of
        if not organs:
            lesions = [name for name in self.config.channels if structure in by_name(name).lesion_of]
            return self._organ(state, structure, [self._lesions(state, name, (structure,)) for name in lesions])
        return Mask(self._lesions(state, structure, organs), state.grid, structure)

    def _organ(self, state: CompactState, structure: str, lesions: list[np.ndarray]) -> Mask:
        """The largest piece of an organ's mask together with its lesions."""
        plane = state.probabilities[self.config.channels.index(structure)] >= 0.5
        for lesion in lesions:
            plane |= lesion
        return largest_component(Mask(plane, state.grid, structure))

    def _lesions(self, state: CompactState, structure: str, organs: tuple[str, ...]) -> np.ndarray:
        """(I, J, K) bool: the pieces of a lesion channel that touch the largest piece of one of the organs."""
        plane = Mask(state.probabilities[self.config.channels.index(structure)] >= 0.5, state.grid, structure)
        voxels = np.zeros(state.grid.shape, dtype=bool)
        hosts = [self._organ(state, organ, []).voxels for organ in organs if organ in self.config.channels]
        for piece in components(plane, min_volume_ml=SMALLEST_LESION_ML):
            _, _, window = widen(piece, 1)
            near = binary_dilation(piece.voxels[window], TOUCHING)
            if any(bool((near & host[window]).any()) for host in hosts):
                voxels[window] |= piece.voxels[window]
        return voxels

    def _infer(self, hu: np.ndarray) -> np.ndarray:
        """(I, J, K) HU of any size to (C, I, J, K) probabilities, float16."""
        multiple = self.network.multiple
        pad = [n for size in reversed(hu.shape) for n in (0, -size % multiple)]
        scaled = scale_hu(torch.from_numpy(np.ascontiguousarray(hu)), self.config.window_hu)
        volume = functional.pad(scaled[None, None], pad, value=-1.0).to(self.runtime.device)
        with (
            torch.inference_mode(),
            torch.autocast(self.runtime.device.type, self.runtime.dtype, enabled=self.runtime.dtype != torch.float32),
        ):
            logits = self.network(volume.contiguous(memory_format=torch.channels_last_3d))[0]
        inside = logits[:, : hu.shape[0], : hu.shape[1], : hu.shape[2]]
        return torch.sigmoid(inside).to(torch.float16).cpu().numpy()


def widen(mask: Mask, voxels: int) -> tuple[tuple[int, int, int], tuple[int, int, int], tuple[slice, slice, slice]]:
    """Start, stop and slices of a mask's box, grown by `voxels` and clipped to its grid. The mask is not empty."""
    if mask.box is None:
        raise ValueError(f"mask of {mask.structure} is empty")
    i, j, k = (
        (max(0, a - voxels), min(n, b + voxels))
        for a, b, n in zip(mask.box.start, mask.box.stop, mask.grid.shape, strict=True)
    )
    return (i[0], j[0], k[0]), (i[1], j[1], k[1]), (slice(*i), slice(*j), slice(*k))


def plan_slabs(shape: tuple[int, int, int], multiple: int) -> list[tuple[int, int, int, int]]:
    """Cut the last axis: (first, last) to compute and (keep_first, keep_last) to keep, covering every slice once.

    Slabs start at multiples of `multiple`, so that the network's coarser levels see the blocks of the whole scan.
    """
    depth = max(2 * HALO_VOXELS, SLAB_VOXELS // (shape[0] * shape[1]))
    if shape[2] <= depth:
        return [(0, shape[2], 0, shape[2])]
    count = -(-shape[2] // (depth - 2 * HALO_VOXELS + 16))
    cuts = np.linspace(0, shape[2], count + 1).astype(int)
    cuts[1:-1] -= cuts[1:-1] % multiple
    halo = HALO_VOXELS - HALO_VOXELS % -multiple
    return [
        (max(0, int(a) - halo), min(shape[2], int(b) + halo), int(a), int(b))
        for a, b in itertools.pairwise(np.unique(cuts))
    ]


def overlap_box(source: Grid, target: Grid) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """The half-open voxels of `target` whose centres lie within the volume of `source`, at least one."""
    corners = np.stack(np.meshgrid(*[(-0.5, n - 0.5) for n in source.shape]), -1).reshape(-1, 3)
    reached = target.to_ijk(source.to_mm(corners))
    low = np.clip(np.floor(reached.min(axis=0)).astype(int), 0, np.asarray(target.shape) - 1)
    high = np.clip(np.ceil(reached.max(axis=0)).astype(int) + 1, low + 1, target.shape)
    return (int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2]))


def load_compact(entry: ModelEntry, *, device: str | None = None) -> CompactSegmenter:
    """The segmenter of an installed model; its file is read once and checked before a network is built.

    Raises WeightsError as `read_weights` does, E_WEIGHTS_MISMATCH for tensors of another network and
    E_WEIGHTS_NONFINITE for NaN or infinity, both naming the first bad tensor.
    """
    config = CompactConfig.from_dict(entry.config)
    content, stored = read_weights(entry.file, entry.sha256)
    _require_fit(config, stored, entry.file.name)
    try:
        tensors = load(content)
    except SafetensorError:
        raise WeightsError("E_WEIGHTS_CORRUPT", f"{entry.file.name} is no safetensors file.", INSTALL_AGAIN) from None
    for key, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(
                "E_WEIGHTS_NONFINITE", f"{entry.file.name} has numbers that are not finite in {key!r}.", INSTALL_AGAIN
            )
    network = CompactUNet(config)
    network.load_state_dict(tensors)
    return CompactSegmenter(network, name=entry.title, runtime=pick_runtime(device))


def _require_fit(config: CompactConfig, stored: Mapping[str, StoredTensor], name: str) -> None:
    """Refuse a table of tensors that is not the network's own. Shapes only: no memory is taken for either."""
    with torch.device("meta"):
        wanted = {key: tuple(tensor.shape) for key, tensor in CompactUNet(config).state_dict().items()}
    missing = next((key for key in wanted if key not in stored), None)
    unexpected = next((key for key in stored if key not in wanted), None)
    other = next((key for key, shape in wanted.items() if key in stored and stored[key].shape != shape), None)
    if missing is not None:
        what = f"{name} lacks the tensor {missing!r}"
    elif unexpected is not None:
        what = f"{name} has the tensor {unexpected[:80]!r}, which its network does not"
    elif other is not None:
        what = f"{name} has the tensor {other!r} of shape {stored[other].shape}, its network needs {wanted[other]}"
    else:
        return
    raise WeightsError(
        "E_WEIGHTS_MISMATCH", f"{what}.", "Put the description and the weights of one and the same export together."
    )


def save_compact(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Write a network's weights as safetensors, rounded to float16: half the file, and no machine needs bfloat16."""
    half = {name: tensor.to(torch.float16).contiguous() for name, tensor in tensors.items()}
    part = path.with_suffix(".part")
    save_file(half, part)
    part.replace(path)
