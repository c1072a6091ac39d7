"""Numbers about a crop that a small classifier can tell real from painted lesions by, in the manner of radiomics."""

from __future__ import annotations

import itertools

import numpy as np
from scipy import ndimage
from scipy.stats import kurtosis, skew

from vision.geometry import Grid, Mask
from vision.measure import axes
from vision.synthesis.reader_study.crops import SHAPE, SPACING_MM, WINDOW_HU, Crop

GREY_LEVELS = 16
RING_MM = (2.0, 8.0)
"""Surroundings: this far from the border, past the blurred edge."""
PROFILE_MM = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
FINE_MM, COARSE_MM = 0.75, 3.0
FLAT_HU = 1e-3


def lesion_features(crop: Crop) -> np.ndarray:
    """(F,) texture inside, contrast, profile across the border, gradient at it, shape.

    All HU within the window and against the surroundings, so that a scanner's level does not tell.
    """
    distance = signed_distance_mm(crop.lesion)
    inside, ring = crop.lesion, _ring(distance)
    around = float(crop.hu[ring].mean())
    contrast = float(crop.hu[inside].mean()) - around
    layers = [(distance > low) & (distance <= high) for low, high in itertools.pairwise(PROFILE_MM)]
    steps = [float(crop.hu[layer].mean()) if layer.any() else around for layer in layers]
    slope = ndimage.gaussian_gradient_magnitude(crop.hu, np.array(FINE_MM) / SPACING_MM)[np.abs(distance) <= 1.5]
    return _finite(
        [contrast, *(np.array(steps) - around), slope.mean(), slope.std(), *_texture(crop, inside), *_shape(crop)]
    )


def surrounding_features(crop: Crop) -> np.ndarray:
    """(F,) texture of the tissue round the lesion, which nobody painted: it tells CTs apart, not lesions."""
    ring = _ring(signed_distance_mm(crop.lesion))
    return _finite([float(crop.hu[ring].mean()), *_texture(crop, ring)])


def signed_distance_mm(lesion: np.ndarray) -> np.ndarray:
    """(I, J, K) distance in mm to the border, below 0 inside."""
    outside = ndimage.distance_transform_edt(~lesion, sampling=SPACING_MM)
    return outside - ndimage.distance_transform_edt(lesion, sampling=SPACING_MM)


def _ring(distance: np.ndarray) -> np.ndarray:
    return (distance > RING_MM[0]) & (distance <= RING_MM[1])


def _texture(crop: Crop, region: np.ndarray) -> list[float]:
    """First-order statistics, noise of two scales, how alike neighbours are, and co-occurrence of grey levels.

    Nothing outside the region enters, so that a lesion does not tell of its surroundings, nor they of it.
    """
    values = crop.hu[region]
    smooth, broad = (_smoothed(crop.hu, region, width) for width in (FINE_MM, COARSE_MM))
    noise = crop.hu - smooth
    low, high = np.percentile(values, [10, 90])
    is_flat = values.std() < FLAT_HU
    return [
        values.std(),
        high - low,
        0.0 if is_flat else float(skew(values)),
        0.0 if is_flat else float(kurtosis(values)),
        noise[region].std(),
        broad[region].std(),
        np.abs(ndimage.laplace(smooth))[region].mean(),
        *(_correlation(noise, region, axis) for axis in range(3)),
        *_co_occurrence(crop.hu, region),
    ]


def _smoothed(hu: np.ndarray, region: np.ndarray, width_mm: float) -> np.ndarray:
    """HU averaged within the region alone by a Gaussian of this SD; the region's mean outside."""
    sigma = width_mm / np.asarray(SPACING_MM)
    share = ndimage.gaussian_filter(region.astype(np.float64), sigma)
    sums = ndimage.gaussian_filter(np.where(region, hu, 0.0).astype(np.float64), sigma)
    return np.where(region, sums / np.maximum(share, 1e-9), hu[region].mean())


def _correlation(noise: np.ndarray, region: np.ndarray, axis: int) -> float:
    """How alike the noise of next voxels along an axis is, from -1 to 1."""
    here = [slice(None)] * 3
    there = [slice(None)] * 3
    here[axis], there[axis] = slice(None, -1), slice(1, None)
    both = region[tuple(here)] & region[tuple(there)]
    first, second = noise[tuple(here)][both], noise[tuple(there)][both]
    spread = float(np.sqrt((first**2).sum() * (second**2).sum())) if both.any() else 0.0
    return float((first * second).sum()) / spread if spread else 0.0


def _co_occurrence(hu: np.ndarray, region: np.ndarray) -> list[float]:
    """Contrast, homogeneity, energy and correlation (Haralick 1973) of the middle slice, one pixel apart.

    Grey level 0 is outside the region and left out.
    """
    from skimage.feature import graycomatrix, graycoprops

    low, high = WINDOW_HU
    middle = SHAPE[2] // 2
    grey = 1 + np.floor((GREY_LEVELS - 1) * (hu[:, :, middle] - low) / (high - low)).astype(np.uint8)
    grey[~region[:, :, middle]] = 0
    counts = graycomatrix(grey, [1], [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4], levels=GREY_LEVELS + 1, symmetric=True)
    counts = counts[1:, 1:].astype(np.float64)
    counts /= np.maximum(counts.sum(axis=(0, 1), keepdims=True), 1)
    return [float(graycoprops(counts, name).mean()) for name in ("contrast", "homogeneity", "energy", "correlation")]


def _shape(crop: Crop) -> list[float]:
    """Short over long axis, how much of its ball it fills, and how much of its convex hull in the middle slice."""
    from skimage.measure import regionprops

    measured = axes(Mask(crop.lesion.copy(), Grid.from_spacing(SHAPE, SPACING_MM), crop.structure))
    cut = crop.lesion[:, :, SHAPE[2] // 2].astype(np.uint8)
    if measured is None or not cut.any():
        return [0.0, 0.0, 0.0]
    volume = float(crop.lesion.sum()) * float(np.prod(SPACING_MM))
    ball = np.pi / 6 * measured.long_mm**3
    return [measured.short_mm / measured.long_mm, volume / ball, float(regionprops(cut)[0].solidity)]


def _finite(values: list[float]) -> np.ndarray:
    return np.nan_to_num(np.array(values, dtype=np.float64), posinf=0.0, neginf=0.0)
