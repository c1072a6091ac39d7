"""What the CT shows anyway: its noise, which a painted tumour keeps, and its anatomy, which it replaces."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from vision.synthesis.tumours.protocol import Spacing

DETAIL_MM = 1.6
"""SD of the Gaussian that parts noise from anatomy: CT noise is correlated over about 1 mm (hu_and_sizes 5a)."""
CUT_SD = 2.5
QUIET_PERCENT = 33
NOISE_CORRELATION = 0.8
SOFT_TISSUE_HU = (-120.0, 250.0)


def scan_noise(ct: NDArray[np.float32], spacing: Spacing, rng: np.random.Generator) -> NDArray[np.float32]:
    """(I, J, K) float32 noise in HU for a tumour that replaces what is there.

    It is the CT's own fine detail where that is within 2.5 SD. Elsewhere, at vessels and borders that would shine
    through, and where there is no such noise (gas, dense contrast agent, a clipped CT), it is drawn with the SD of soft
    tissue and correlated over a pixel.
    """
    detail = ct - ndimage.gaussian_filter(ct, [DETAIL_MM / step for step in spacing], truncate=2.5)
    soft = (ct > SOFT_TISSUE_HU[0]) & (ct < SOFT_TISSUE_HU[1])
    # The quieter third of neighbourhoods: the others hold anatomy as well as noise.
    local = ndimage.uniform_filter(np.square(detail), (5, 5, 1))[soft & ~ndimage.binary_dilation(~soft)]
    sd = math.sqrt(max(0.0, float(np.percentile(local, QUIET_PERCENT)))) if local.size else 0.0
    drawn = rng.standard_normal(ct.shape, dtype=np.float32)
    drawn = ndimage.gaussian_filter(drawn, (NOISE_CORRELATION, NOISE_CORRELATION, 0), truncate=2.5)
    drawn *= sd / max(float(drawn.std()), 1e-6)
    foreign = ndimage.binary_dilation(~soft | (np.abs(detail) > CUT_SD * sd))
    return np.where(foreign, drawn, detail).astype(np.float32)
