"""Patches from prepared cases, each seen twice: a wide view at the coarse spacing and a near view at half of it.

Both views are warped by one deformation and pass one random scanner, all from one seeded generator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vision.training.cases import TrainingCase
from vision.training.scanner import draw_scanner

FINE_PER_COARSE = 2


@dataclass(frozen=True)
class PatchConfig:
    """How far a patch may wander from its case."""

    sizes: tuple[tuple[int, int, int], ...] = ((112, 80, 96), (112, 80, 96), (128, 96, 64), (144, 112, 48))
    """Coarse voxels of the wide view, RAS order; one is drawn for each patch."""
    slab_probability: float = 0.25
    """Share of patches that are thin scans: `slab_mm` along the body, all of its width."""
    slab_size: tuple[int, int] = (144, 112)
    slab_mm: tuple[float, float] = (30.0, 140.0)
    fine_size: tuple[int, int, int] = (48, 48, 48)
    """Coarse voxels of the near view; 0 along an axis cannot be."""
    multiple: int = 16
    rotation_degrees: float = 12.0
    scale: tuple[float, float] = (0.8, 1.25)
    displacement_mm: float = 9.0
    """Largest standard deviation of a displacement field of 5 x 5 x 5 control points."""
    structure_probability: float = 0.7
    """Share of patches centred on an annotated structure instead of anywhere in the body."""


@dataclass(frozen=True)
class Patch:
    """`hu` (1, I, J, K) float32 HU and `tissues` (I, J, K) uint8 of the wide view; `fine_hu` (1, 2i, 2j, 2k) and
    `fine_tissues` of the near one, whose first coarse voxel is `fine_start` (3,); `members` (C, 256) bool of the case;
    `annotated` (C,) bool."""

    hu: Tensor
    tissues: Tensor
    fine_hu: Tensor
    fine_tissues: Tensor
    fine_start: Tensor
    members: Tensor
    annotated: Tensor

    def to(self, device: torch.device) -> Patch:
        """The same patch on a device."""
        return Patch(
            self.hu.to(device),
            self.tissues.to(device),
            self.fine_hu.to(device),
            self.fine_tissues.to(device),
            self.fine_start,
            self.members.to(device),
            self.annotated.to(device),
        )


@dataclass(frozen=True)
class Warp:
    """Patch coordinates, fine voxels from the patch's centre, to voxels of the case: centre + matrix u + field(u)."""

    centre: np.ndarray
    matrix: np.ndarray
    control: Tensor | None
    half: np.ndarray
    """Half the patch's extent, fine voxels."""


def draw_patch(
    case: TrainingCase, *, config: PatchConfig, spacing_mm: float, air_hu: float, rng: np.random.Generator
) -> Patch:
    """One augmented patch; the same generator state gives the same patch.

    `spacing_mm` is the coarse one, twice that of the case. Beyond the end of a thin scan lies `air_hu`.
    """
    slab = rng.random() < config.slab_probability
    if slab:
        length = max(4, round(float(rng.uniform(*config.slab_mm)) / spacing_mm))
        size = (*config.slab_size, length)
    else:
        size = config.sizes[int(rng.integers(len(config.sizes)))]
    reach = np.asarray(size) * FINE_PER_COARSE
    centre = _centre(case, config, rng)
    # A scan shows the whole width of a body, so a view strays from the body's middle only half as far as its aim.
    centre[:2] = 0.5 * (centre[:2] + np.asarray(case.hu.shape[:2]) / 2)
    centre += rng.uniform(-1, 1, 3) * (0.08, 0.08, 0.0 if slab else 0.25) * reach
    warp = _draw_warp(centre, size, config, spacing_mm / FINE_PER_COARSE, rng)
    scanner = draw_scanner(rng).of_kin(case.kin)
    wide = _positions(warp, (0, 0, 0), size, FINE_PER_COARSE)
    tissues = _sample_tissues(case, wide)
    near = (config.fine_size[0], config.fine_size[1], min(config.fine_size[2], size[2] - size[2] % 4))
    start = _near_start(tissues, case, near, size, rng)
    fine_size = (near[0] * FINE_PER_COARSE, near[1] * FINE_PER_COARSE, near[2] * FINE_PER_COARSE)
    fine = _positions(warp, start, fine_size, 1)
    fine_tissues = _sample_tissues(case, fine)
    hu = scanner.scan(_sample_hu(case, wide, FINE_PER_COARSE), tissues, spacing_mm, rng)
    fine_hu = scanner.scan(_sample_hu(case, fine, 1), fine_tissues, spacing_mm / FINE_PER_COARSE, rng)
    missing = -size[2] % config.multiple
    return Patch(
        functional.pad(hu, (0, missing), value=air_hu)[None],
        functional.pad(tissues, (0, missing)),
        fine_hu[None],
        fine_tissues,
        torch.tensor(start),
        torch.from_numpy(case.members),
        torch.from_numpy(case.annotated.copy()),
    )


def _centre(case: TrainingCase, config: PatchConfig, rng: np.random.Generator) -> np.ndarray:
    """A voxel of a random annotated structure, or a random one inside the body."""
    shape = np.asarray(case.tissues.shape)
    if rng.random() < config.structure_probability:
        known = np.flatnonzero(case.annotated)
        codes = case.members[int(known[rng.integers(len(known))])]
        coarse = case.tissues[::3, ::3, ::3]
        inside = np.flatnonzero(codes[coarse])
        if inside.size:
            found = np.unravel_index(inside[rng.integers(inside.size)], coarse.shape)
            return np.asarray(found, dtype=float) * 3
    for _ in range(20):
        voxel = tuple(int(rng.integers(n)) for n in shape)
        if case.hu[voxel] > -115:
            return np.asarray(voxel, dtype=float)
    return shape / 2


def _draw_warp(
    centre: np.ndarray, size: tuple[int, int, int], config: PatchConfig, fine_mm: float, rng: np.random.Generator
) -> Warp:
    angles = np.deg2rad(rng.uniform(-1, 1, 3) * config.rotation_degrees) * (rng.random() < 0.5)
    low, high = np.log(config.scale)
    scales = np.exp(rng.uniform(low, high, 3) * 0.3 + rng.uniform(low, high) * 0.7)
    control = None
    if rng.random() < 0.5:
        deviation = config.displacement_mm / fine_mm * rng.uniform(0.2, 1.0)
        control = torch.from_numpy(rng.normal(0, deviation, (1, 3, 5, 5, 5)).astype(np.float32))
    return Warp(centre, rotation(angles) * scales, control, np.asarray(size) * FINE_PER_COARSE / 2)


def rotation(angles: np.ndarray) -> np.ndarray:
    """(3, 3) rotation about the three axes, radians."""
    result = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = [a for a in range(3) if a != axis]
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        result = result @ turn
    return result


def _positions(warp: Warp, start: tuple[int, int, int], size: tuple[int, int, int], step: int) -> Tensor:
    """(I, J, K, 3) voxel of the case at every voxel of a view, `step` fine voxels apart, from coarse `start` on."""
    axes = [
        torch.from_numpy(((np.arange(n) + 0.5) * step + first * FINE_PER_COARSE - edge).astype(np.float32))
        for n, first, edge in zip(size, start, warp.half, strict=True)
    ]
    matrix = torch.from_numpy(warp.matrix.astype(np.float32))
    position = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1) @ matrix.T
    if warp.control is not None:
        unit = [axis / float(edge) for axis, edge in zip(axes, warp.half, strict=True)]
        at = torch.stack(torch.meshgrid(*unit, indexing="ij"), -1).flip(-1)[None]
        moved = functional.grid_sample(warp.control, at, mode="bilinear", padding_mode="border", align_corners=True)
        position = position + moved[0].movedim(0, -1)
    return position + torch.from_numpy(warp.centre.astype(np.float32))


def _near_start(
    tissues: Tensor,
    case: TrainingCase,
    near: tuple[int, int, int],
    size: tuple[int, int, int],
    rng: np.random.Generator,
) -> tuple[int, int, int]:
    """First coarse voxel (even) of a near view about a structure that the wide view shows, each as likely."""
    found = np.bincount(tissues.numpy().ravel(), minlength=256) > 0
    shown = [number for number in np.flatnonzero(case.annotated) if (case.members[number] & found).any()]
    if shown:
        inside = np.flatnonzero(case.members[int(rng.choice(shown))][tissues.numpy()])
        middle = np.asarray(np.unravel_index(inside[rng.integers(inside.size)], size))
    else:
        middle = np.asarray(size) // 2
    first = middle - np.asarray(near) // 2 + rng.integers(-8, 9, 3)
    first = np.clip(first, 0, np.asarray(size) - near)
    i, j, k = (int(n) - int(n) % 2 for n in first)
    return i, j, k


def _sample_tissues(case: TrainingCase, position: Tensor) -> Tensor:
    """(I, J, K) uint8 codes at the nearest voxels; nothing lies outside the case."""
    low, high = _box(position)
    codes = torch.from_numpy(_crop(case.tissues, low, high, fill=0).astype(np.float32))
    return _interpolate(codes, position - torch.from_numpy(low.astype(np.float32)), "nearest").to(torch.uint8)


def _sample_hu(case: TrainingCase, position: Tensor, step: int) -> Tensor:
    """(I, J, K) float32 HU; averaged over `step` voxels along each axis first, as a coarser scan would."""
    low, high = _box(position)
    high = low + (high - low + step - 1) // step * step
    hu = torch.from_numpy(_crop(case.hu, low, high, fill=int(case.hu.min())).astype(np.float32))
    at = position - torch.from_numpy(low.astype(np.float32))
    if step > 1:
        hu = functional.avg_pool3d(hu[None, None], step)[0, 0]
        at = (at + 0.5) / step - 0.5
    return _interpolate(hu, at, "bilinear")


def _box(position: Tensor) -> tuple[np.ndarray, np.ndarray]:
    flat = position.reshape(-1, 3)
    low, high = flat.amin(0).floor().numpy().astype(int), flat.amax(0).ceil().numpy().astype(int)
    return low - 2, high + 3


def _interpolate(volume: Tensor, position: Tensor, mode: str) -> Tensor:
    extent = torch.tensor([n - 1 for n in volume.shape], dtype=torch.float32)
    at = (position / extent * 2 - 1).flip(-1)[None]
    return functional.grid_sample(volume[None, None], at, mode=mode, padding_mode="border", align_corners=True)[0, 0]


def _crop(volume: np.ndarray, low: np.ndarray, high: np.ndarray, *, fill: int) -> np.ndarray:
    """The box low <= index < high, padded with `fill` where it leaves the volume."""
    inner_low = np.clip(low, 0, volume.shape)
    inner_high = np.clip(high, 0, volume.shape)
    inside = volume[tuple(slice(a, b) for a, b in zip(inner_low, inner_high, strict=True))]
    result = np.full(tuple(high - low), fill, dtype=volume.dtype)
    start = inner_low - low
    result[tuple(slice(s, s + n) for s, n in zip(start, inside.shape, strict=True))] = inside
    return result
