"""Intensity: Hounsfield units inside a mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from vision.geometry import CTVolume, Mask


@dataclass(frozen=True)
class Intensity:
    """HU inside a mask: mean, standard deviation, 5th, 50th and 95th percentile of its `n` voxels."""

    mean: float
    sd: float
    p5: float
    p50: float
    p95: float
    n: int


def intensity(ct: CTVolume, mask: Mask) -> Intensity | None:
    """Measure the HU of every voxel of a mask; None when it is empty.

    Unweighted population statistics; percentiles interpolate linearly. Raises ValueError when the mask lies on another
    grid than the CT.
    """
    mask.require_grid(ct.grid)
    box = mask.box
    return None if box is None else _statistics(ct.hu[box.slices][mask.voxels[box.slices]])


def core_intensity(ct: CTVolume, mask: Mask, *, erosion_mm: float) -> Intensity | None:
    """Measure the HU away from the edge, where no voxel is shared with the neighbouring tissue.

    Voxels whose centre lies within `erosion_mm` of the centre of a voxel outside the mask are left out; the border of
    the array is not an edge. None when nothing remains: the structure is too thin to measure so. Raises ValueError for
    another grid than the CT's and for an erosion not above 0 mm.
    """
    mask.require_grid(ct.grid)
    if not erosion_mm > 0:
        raise ValueError(f"an erosion is above 0 mm, got {erosion_mm}")
    box = mask.box
    if box is None:
        return None
    import edt

    wider = tuple(
        slice(max(0, a - 1), min(n, b + 1)) for a, b, n in zip(box.start, box.stop, mask.grid.shape, strict=True)
    )
    inside = mask.voxels[wider].copy()
    distance = edt.edt(inside, anisotropy=mask.grid.spacing_mm, black_border=False, parallel=1)
    core = inside & (distance > erosion_mm)
    return _statistics(ct.hu[wider][core]) if core.any() else None


def relative_attenuation(
    lesion_mean: float, organ_mean: float, organ_sd: float, *, tolerance_sd: float = 0.1, tolerance_hu: float = 0.0
) -> Literal["hypo", "iso", "hyper"]:
    """Name a lesion 'hypo', 'iso' or 'hyper' against the organ around it, from means and SD in HU.

    Iso within the larger of `tolerance_hu` and `tolerance_sd` of the organ's standard deviations, default a tenth, as
    RadGPT's structured reports do (Bassi et al., ICCV 2025). With a noise of 15 to 20 HU that is 2 HU, so iso is rare:
    a description of means, not of what an eye would call isodense. Raises ValueError for a value that is not finite or
    an SD or tolerance below 0.
    """
    if not np.isfinite([lesion_mean, organ_mean, organ_sd, tolerance_sd, tolerance_hu]).all() or (
        min(organ_sd, tolerance_sd, tolerance_hu) < 0
    ):
        raise ValueError("attenuation compares finite means and a standard deviation of at least 0 HU")
    difference = lesion_mean - organ_mean
    if abs(difference) <= max(tolerance_sd * organ_sd, tolerance_hu):
        return "iso"
    return "hyper" if difference > 0 else "hypo"


def _statistics(hu: np.ndarray) -> Intensity:
    """Statistics of (n,) HU values, n at least 1."""
    p5, p50, p95 = np.percentile(hu, (5, 50, 95)).tolist()
    return Intensity(
        mean=float(hu.mean(dtype=np.float64)),
        sd=float(hu.std(dtype=np.float64)),
        p5=p5,
        p50=p50,
        p95=p95,
        n=int(hu.size),
    )
