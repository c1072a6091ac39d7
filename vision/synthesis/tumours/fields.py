"""Smooth random fields with their width in mm: texture and displacement, made when needed, on any grid."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline

from vision.synthesis.tumours.protocol import Spacing, Voxel

_SD_OF_A_SPLINE = math.sqrt(151 / 315) ** 3
"""SD of a tensor-product cubic B-spline with standard normal coefficients: the mean of its summed squared weights."""


def smooth_field(shape: Voxel, spacing: Spacing, width_mm: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """(I, J, K) float32 of mean 0 and SD about 1: normal coefficients every `width_mm`, joined by cubic B-splines."""
    weights = [_weights(count, step / width_mm) for count, step in zip(shape, spacing, strict=True)]
    field = rng.standard_normal([one.shape[1] for one in weights], dtype=np.float32)
    for one in weights:
        field = np.tensordot(field, one, axes=(0, 1))
    return np.ascontiguousarray(field / np.float32(_SD_OF_A_SPLINE))


def _weights(count: int, step: float) -> NDArray[np.float32]:
    """(count, coefficients) float32: what each coefficient adds to voxels `step` coefficients apart."""
    places = np.arange(count) * step
    last = math.floor(places[-1]) + 1
    knots = np.arange(-3.0, last + 4.0)
    matrix: NDArray[np.float32] = BSpline.design_matrix(places, knots, 3).toarray().astype(np.float32)
    return matrix
