"""Patches from prepared cases: deformation, contrast, noise and painted lesions, all from one seeded generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vision.training.cases import TrainingCase

LESION_ORGANS = {
    "liver_lesion": ("liver",),
    "pancreas_lesion": ("pancreas",),
    "kidney_lesion": ("kidney_left", "kidney_right"),
}


@dataclass(frozen=True)
class AugmentConfig:
    """How far a patch may wander from its case."""

    size: tuple[int, int, int] = (112, 80, 96)
    """Voxels of the working grid, RAS order."""
    rotation_degrees: float = 12.0
    scale: tuple[float, float] = (0.8, 1.25)
    displacement_voxels: float = 3.0
    """Standard deviation of a displacement field of 5 x 5 x 5 control points."""
    paint_probability: float = 0.5
    structure_probability: float = 0.6
    """Share of patches centred on an annotated structure instead of anywhere in the body."""


@dataclass(frozen=True)
class Patch:
    """`hu` (1, I, J, K) float32 HU, `target` (C, I, J, K) bool, `annotated` (C,) bool."""

    hu: Tensor
    target: Tensor
    annotated: Tensor


def draw_patch(
    case: TrainingCase,
    channels: tuple[str, ...],
    *,
    config: AugmentConfig,
    window_hu: tuple[float, float],
    rng: np.random.Generator,
) -> Patch:
    """One augmented patch; the same generator state gives the same patch."""
    centre = _centre(case, config, rng)
    hu, target = _warp(case, centre, config, rng)
    if rng.random() < config.paint_probability:
        hu, target = _paint_lesions(hu, target, channels, rng)
    hu = _vary_contrast(hu, target, rng)
    hu = _vary_acquisition(hu, rng)
    hu = hu.clamp(*window_hu)
    return Patch(hu[None], target, torch.from_numpy(case.annotated.copy()))


def _centre(case: TrainingCase, config: AugmentConfig, rng: np.random.Generator) -> np.ndarray:
    """A voxel on a random annotated structure, or a random one inside the body."""
    if rng.random() < config.structure_probability:
        known = np.flatnonzero(case.annotated)
        voxels = case.voxels_of(int(known[rng.integers(len(known))]))
        inside = np.flatnonzero(voxels)
        if inside.size:
            return np.asarray(np.unravel_index(inside[rng.integers(inside.size)], voxels.shape), dtype=float)
    shape = np.asarray(case.hu.shape)
    for _ in range(20):
        voxel = tuple(int(rng.integers(n)) for n in shape)
        if case.hu[voxel] > -115:
            return np.asarray(voxel, dtype=float)
    return shape / 2


def _warp(
    case: TrainingCase, centre: np.ndarray, config: AugmentConfig, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Sample a rotated, scaled, smoothly displaced patch; outside the case lies air and nothing."""
    size = config.size
    angles = np.deg2rad(rng.uniform(-1, 1, 3) * config.rotation_degrees) * (rng.random() < 0.5)
    low, high = np.log(config.scale)
    scales = np.exp(rng.uniform(low, high, 3) * 0.3 + rng.uniform(low, high) * 0.7)
    matrix = _rotation(angles) * scales
    half = (np.asarray(size) - 1) / 2
    reach = np.abs(matrix) @ half + 2 + 2.5 * config.displacement_voxels
    centre = centre + rng.uniform(-0.25, 0.25, 3) * np.asarray(size)
    start = np.floor(centre - reach).astype(int)
    stop = np.ceil(centre + reach).astype(int) + 1
    hu = _crop(case.hu, start, stop, fill=int(case.hu.min()))
    bits = _crop(case.bits, start, stop, fill=0)
    axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in size]
    lattice = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    position = lattice @ torch.from_numpy(matrix.T.astype(np.float32))
    if rng.random() < 0.5:
        control = rng.normal(0, config.displacement_voxels * rng.uniform(0.2, 1.0), (1, 3, 5, 5, 5))
        field = functional.interpolate(
            torch.from_numpy(control.astype(np.float32)), size=size, mode="trilinear", align_corners=True
        )
        position = position + field[0].movedim(0, -1)
    position = position + torch.from_numpy((centre - start).astype(np.float32))
    extent = torch.tensor([n - 1 for n in hu.shape], dtype=torch.float32)
    sampling = (position / extent * 2 - 1).flip(-1)[None]
    source = torch.from_numpy(hu.astype(np.float32))[None, None]
    warped = functional.grid_sample(source, sampling, mode="bilinear", padding_mode="border", align_corners=True)
    exact = torch.from_numpy(bits.astype(np.float32))[None, None]  # exact below 2**24, that is up to 24 channels
    nearest = functional.grid_sample(exact, sampling, mode="nearest", padding_mode="border", align_corners=True)
    flags = (1 << torch.arange(len(case.annotated), dtype=torch.int32)).view(-1, 1, 1, 1)
    target = (nearest[0].to(torch.int32) & flags) != 0
    return warped[0, 0], target


def _crop(volume: np.ndarray, low: np.ndarray, high: np.ndarray, *, fill: int) -> np.ndarray:
    """The box low <= index < high, padded with `fill` where it leaves the volume."""
    inner_low = np.clip(low, 0, volume.shape)
    inner_high = np.clip(high, 0, volume.shape)
    inside = volume[tuple(slice(a, b) for a, b in zip(inner_low, inner_high, strict=True))]
    result = np.full(tuple(high - low), fill, dtype=volume.dtype)
    start = inner_low - low
    result[tuple(slice(s, s + n) for s, n in zip(start, inside.shape, strict=True))] = inside
    return result


def _rotation(angles: np.ndarray) -> np.ndarray:
    """(3, 3) rotation about the three axes, radians."""
    result = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = [a for a in range(3) if a != axis]
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        result = result @ turn
    return result


def _vary_contrast(hu: Tensor, target: Tensor, rng: np.random.Generator) -> Tensor:
    """Other phases and scanners: every annotated structure brightens or darkens on its own, then all together."""
    if rng.random() < 0.5:
        offset = torch.zeros_like(hu)
        for plane in target:
            offset[plane] = float(rng.normal(0, 25))
        hu = hu + functional.avg_pool3d(offset[None, None], 3, 1, 1)[0, 0]
    if rng.random() < 0.7:
        hu = (hu - 50.0) * float(rng.uniform(0.75, 1.3)) + 50.0 + float(rng.normal(0, 12))
    return hu


def _vary_acquisition(hu: Tensor, rng: np.random.Generator) -> Tensor:
    """Thick slices, soft kernels and noise of other protocols."""
    if rng.random() < 0.25:
        thick = int(rng.integers(2, 4))
        pooled = functional.avg_pool3d(hu[None, None], (1, 1, thick), (1, 1, thick), ceil_mode=True)
        hu = functional.interpolate(pooled, size=hu.shape, mode="trilinear", align_corners=False)[0, 0]
    if rng.random() < 0.2:
        hu = 0.5 * hu + 0.5 * functional.avg_pool3d(hu[None, None], 3, 1, 1, count_include_pad=False)[0, 0]
    if rng.random() < 0.6:
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        hu = hu + torch.randn(hu.shape, generator=generator) * float(rng.uniform(2, 22))
    return hu


def _paint_lesions(
    hu: Tensor, target: Tensor, channels: tuple[str, ...], rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Paint one to three noisy ellipsoids into organs of the patch; a stand-in until the tumour generators exist."""
    hosts = [
        (lesion, organ)
        for lesion, organs in LESION_ORGANS.items()
        if lesion in channels
        for organ in organs
        if organ in channels and bool(target[channels.index(organ)].any())
    ]
    if not hosts:
        return hu, target
    hu, target = hu.clone(), target.clone()
    for _ in range(int(rng.integers(1, 4))):
        lesion, organ = hosts[int(rng.integers(len(hosts)))]
        _paint_one(hu, target, channels.index(lesion), channels.index(organ), rng)
    return hu, target


def _paint_one(hu: Tensor, target: Tensor, lesion: int, organ: int, rng: np.random.Generator) -> None:
    """Write one lesion into `hu` and `target` (both owned by the caller)."""
    inside = torch.nonzero(target[organ])
    centre = inside[int(rng.integers(len(inside)))]
    radius = float(np.exp(rng.uniform(np.log(1.3), np.log(10.0))))
    margin = int(np.ceil(radius * 1.6)) + 1
    low = [max(0, int(c) - margin) for c in centre]
    high = [min(n, int(c) + margin + 1) for c, n in zip(centre, hu.shape, strict=True)]
    span = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    axes = [torch.arange(a, b, dtype=torch.float32) - float(c) for a, b, c in zip(low, high, centre, strict=True)]
    lattice = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    stretch = rng.uniform(0.7, 1.3, 3) * radius
    turned = lattice @ torch.from_numpy(_rotation(rng.uniform(-np.pi, np.pi, 3)).astype(np.float32))
    distance = (turned / torch.from_numpy(stretch.astype(np.float32))).norm(dim=-1)
    control = torch.from_numpy(rng.normal(0, 0.18, (1, 1, 4, 4, 4)).astype(np.float32))
    rough = functional.interpolate(control, size=distance.shape, mode="trilinear", align_corners=True)[0, 0]
    edge = float(rng.uniform(0.5, 1.5)) / radius
    weight = torch.sigmoid((1.0 + rough - distance) / (edge * 0.35))
    weight = weight * functional.avg_pool3d(target[organ][span][None, None].float(), 3, 1, 1)[0, 0]
    speckle = torch.from_numpy(rng.normal(0, 1.0, (1, 1, *[max(2, n // 3) for n in distance.shape])).astype(np.float32))
    texture = functional.interpolate(speckle, size=distance.shape, mode="trilinear", align_corners=True)[0, 0]
    change = -float(rng.uniform(20, 90)) if rng.random() < 0.8 else float(rng.uniform(25, 80))
    hu[span] += weight * (change + texture * abs(change) * 0.12)
    target[lesion][span] |= (weight > 0.5) & target[organ][span]
