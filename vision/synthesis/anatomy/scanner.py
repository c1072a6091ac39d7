"""What a scanner makes of a body: table, blur, slice thickness, noise of a kernel, metal, field of view, clipping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from vision.synthesis.anatomy.regrid import SPACING_MM
from vision.synthesis.anatomy.tissues import Tissue

CLIPPED_SHARE, METAL_SHARE, NARROW_SHARE, SHARP_SHARE, STREAK_SHARE = 0.25, 0.05, 0.12, 0.2, 0.35
CLIP_HU = (-125.0, 275.0)
_FWHM_TO_SD = 1 / 2.355
_VOXEL_SD = 0.42
"""Blur in voxels that takes the steps off a label map, as partial volume does."""


@dataclass(frozen=True)
class Protocol:
    """How one scan was made; lengths in mm, `noise_hu` the SD of a voxel's noise amid the body."""

    kernel: str
    blur_fwhm_mm: float
    slice_mm: float
    noise_hu: float
    noise_width: float
    overshoot: float
    field_share: float
    streaks: float
    has_metal: bool
    is_clipped: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Protocol:
        """Slices of 0.8 to 5 mm; noise falls with their thickness and rises with a sharp kernel."""
        sharp = rng.random() < SHARP_SHARE
        slice_mm = float(rng.choice([0.8, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0]))
        thin, middle, thick = (12, 26), (8, 18), (5, 11)
        low, high = thin if slice_mm <= 1.5 else middle if slice_mm < 4 else thick
        narrow = rng.random() < NARROW_SHARE
        return cls(
            kernel="sharp" if sharp else "soft",
            blur_fwhm_mm=float(rng.uniform(0.6, 0.9) if sharp else rng.uniform(0.9, 1.6)),
            slice_mm=slice_mm,
            noise_hu=float(rng.uniform(low, high)) * (1.35 if sharp else 1.0),
            noise_width=float(rng.uniform(0.35, 0.5) if sharp else rng.uniform(0.55, 0.85)),
            overshoot=float(rng.uniform(0.1, 0.25)) if sharp else 0.0,
            field_share=float(rng.uniform(0.85, 1.0)) if narrow else float(rng.uniform(1.05, 1.5)),
            streaks=float(rng.uniform(0.2, 0.7)) if rng.random() < STREAK_SHARE else 0.0,
            has_metal=bool(rng.random() < METAL_SHARE),
            is_clipped=bool(rng.random() < CLIPPED_SHARE),
        )


def scan(hu: np.ndarray, tissues: np.ndarray, protocol: Protocol, rng: np.random.Generator) -> np.ndarray:
    """Scan noise-free HU (I, J, K) float32, which is written to; returns float32 HU of the same shape."""
    draw_table(hu, tissues, rng)
    if protocol.has_metal:
        _implant(hu, tissues, rng)
    width = float(np.hypot(protocol.blur_fwhm_mm * _FWHM_TO_SD / SPACING_MM, _VOXEL_SD))
    for axis in range(2):
        ndimage.gaussian_filter1d(hu, width, axis=axis, output=hu, truncate=3.0)
    if protocol.overshoot:
        soft = ndimage.uniform_filter(hu, (3, 3, 1))
        soft -= hu
        soft *= -protocol.overshoot
        hu += soft
    gather, spread = slice_matrices(hu.shape[2], protocol.slice_mm)
    thick = hu if gather is None else hu @ gather.T
    thick += _noise(thick.shape, protocol, tissues, rng)
    return thick if spread is None else thick @ spread.T


def slice_matrices(count: int, slice_mm: float) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Weights (S, K) that average 1.5 mm voxels to slices, and (K, S) that interpolate the slices back; both float32.

    None and None for slices no thicker than a voxel.
    """
    if slice_mm <= SPACING_MM:
        return None, None
    step = slice_mm / SPACING_MM
    slices = max(2, int(count / step))
    edges = np.arange(count)
    starts = np.arange(slices) * step
    overlap = np.minimum(edges[None] + 1, starts[:, None] + step) - np.maximum(edges[None], starts[:, None])
    gather = np.clip(overlap, 0, 1).astype(np.float32)
    gather /= np.maximum(gather.sum(1, keepdims=True), 1e-6)
    centres = starts + step / 2 - 0.5
    distance = np.abs(np.clip(edges, centres[0], centres[-1])[:, None] - centres[None])
    spread = np.clip(1 - distance / step, 0, None).astype(np.float32)
    spread /= spread.sum(1, keepdims=True)
    return gather, spread


def _noise(shape: tuple[int, ...], protocol: Protocol, tissues: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise that is correlated in the slice and stronger amid the body, where fewer photons come through."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    for axis in range(2):
        ndimage.gaussian_filter1d(noise, protocol.noise_width, axis=axis, output=noise, mode="wrap", truncate=3.0)
    if protocol.streaks:
        long = ndimage.uniform_filter1d(noise, 15, axis=0, mode="wrap")
        noise += np.float32(protocol.streaks * float(noise.std()) / max(float(long.std()), 1e-6)) * long[::-1]
    noise *= np.float32(protocol.noise_hu / max(float(noise[::3, ::3].std()), 1e-6))
    body = ndimage.gaussian_filter((tissues[::4, ::4, ::8] > 0).any(2).astype(np.float32), 8)
    share = ndimage.zoom(
        body / max(float(body.max()), 1e-6), (shape[0] / body.shape[0], shape[1] / body.shape[1]), order=1
    )
    noise *= (0.45 + 0.6 * np.clip(share, 0, 1)).astype(np.float32)[: shape[0], : shape[1], None]
    return noise


def draw_table(hu: np.ndarray, tissues: np.ndarray, rng: np.random.Generator) -> None:
    """Put a curved table behind the back, in place: two shells with foam between."""
    body = np.any(tissues > 0, axis=2)
    across = np.flatnonzero(body.any(1))
    back = np.flatnonzero(body.any(0))
    if not len(back):
        return
    x = (np.arange(hu.shape[0]) - across.mean()) * SPACING_MM
    sag = x**2 / (2 * rng.uniform(300, 900))
    top = back[0] - rng.uniform(1, 5) + sag / SPACING_MM
    thick = rng.uniform(8, 22)
    y = np.arange(hu.shape[1])[None, :]
    below = top[:, None] - y
    wide = (np.abs(x) < rng.uniform(190, 230))[:, None]
    shell = (np.clip(1.6 - np.abs(below - 1), 0, 1) + np.clip(1.6 - np.abs(below - thick), 0, 1)) * wide
    foam = ((below > 1) & (below < thick) & wide) * np.float32(rng.uniform(20, 90))
    table = np.float32(-1000) + foam + np.clip(shell, 0, 1) * np.float32(rng.uniform(650, 1300))
    beside = np.broadcast_to((table > -999)[:, :, None], hu.shape) & (tissues == Tissue.AIR)
    np.copyto(hu, table[:, :, None].astype(np.float32), where=beside)


def _implant(hu: np.ndarray, tissues: np.ndarray, rng: np.random.Generator) -> None:
    """Put a piece of metal into bone or gut, in place, and the streaks that go out from it."""
    hosts = (Tissue.BONE_SPONGIOSA, Tissue.FEMUR_LEFT_SPONGIOSA, Tissue.FEMUR_RIGHT_SPONGIOSA, Tissue.STOMACH_CONTENT)
    places = np.flatnonzero(np.isin(tissues, hosts))
    if not len(places):
        return
    i, j, k = np.unravel_index(int(rng.choice(places)), tissues.shape)
    reach = int(rng.integers(2, 8))
    span = slice(max(0, k - reach), k + reach + 1)
    x, y = np.arange(hu.shape[0])[:, None] - i, np.arange(hu.shape[1])[None, :] - j
    distance = np.hypot(x, y)
    turn = np.round(np.arctan2(y, x) * (180 / np.pi)).astype(int) % 180
    rays = ndimage.gaussian_filter1d(rng.standard_normal(180), 2.5, mode="wrap")
    streaks = 260 * rays[turn] / rays.std() * np.exp(-distance / 70) / (1 + distance / 25)
    hu[:, :, span] += (streaks * (tissues[:, :, k] > 0))[:, :, None].astype(np.float32)
    radius = rng.uniform(1.5, 4)
    hu[:, :, span][distance < radius] = 3000


def limit_field(hu: np.ndarray, tissues: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Blank what lies outside a circular field of view, in HU in place; returns the tissues within it.

    `share` is the circle's diameter over the body's larger width. Nothing changes where the circle holds the grid.
    """
    body = np.any(tissues > 0, axis=2)
    across, deep = np.flatnonzero(body.any(1)), np.flatnonzero(body.any(0))
    if not len(across):
        return tissues
    radius = share * max(len(across), len(deep)) / 2
    shift = rng.uniform(-0.04, 0.04, 2) * len(across)
    x = np.arange(hu.shape[0])[:, None] - across.mean() - shift[0]
    y = np.arange(hu.shape[1])[None, :] - deep.mean() - shift[1]
    outside = np.hypot(x, y) > radius
    if not outside.any():
        return tissues
    hu[outside] = -1000
    seen = tissues.copy()
    seen[outside] = Tissue.AIR
    return seen


def stored(hu: np.ndarray, protocol: Protocol) -> np.ndarray:
    """HU as a file holds them, int16: whole, or clipped to [-125, 275] in 256 steps as some public sources are."""
    if protocol.is_clipped:
        low, high = CLIP_HU
        step = (high - low) / 255
        np.clip(hu, low, high, out=hu)
        hu -= low
        hu /= step
        np.rint(hu, out=hu)
        hu *= step
        hu += low
    np.rint(hu, out=hu)
    np.clip(hu, -1024, 3071, out=hu)
    return hu.astype(np.int16)
