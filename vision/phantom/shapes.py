"""Implicit shapes: signed distances in mm (negative inside), evaluated only in the box around each shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from vision.geometry import Grid

Point = tuple[float, float, float]
Slices = tuple[slice, slice, slice]
FAR_MM = 60.0


@dataclass(frozen=True, eq=False)
class Region:
    """A signed distance, (i, j, k) float32 in mm, on the box `slices` of a stage."""

    slices: Slices
    distance: np.ndarray

    @property
    def inside(self) -> np.ndarray:
        """(i, j, k) bool on the box."""
        return self.distance < 0

    def with_distance(self, distance: np.ndarray) -> Region:
        """The same box with another distance."""
        return Region(self.slices, distance)


@dataclass(frozen=True, eq=False)
class Stage:
    """The anatomical coordinates of every voxel of a grid.

    `coordinates` are three (I, J, K) float32 arrays in mm: x to the patient's Right, y to Anterior, z to Superior,
    0 in front of the upper lumbar spine of a standard adult. They are the voxel's own position divided by `scale`
    plus a smooth warp of at most `slack_mm`. `ripple` is smooth noise of SD 1 for uneven surfaces.
    """

    grid: Grid
    scale: Point
    coordinates: tuple[np.ndarray, np.ndarray, np.ndarray]
    slack_mm: float
    ripple: np.ndarray

    @property
    def whole(self) -> Slices:
        """The slices that hold every voxel."""
        i, j, k = (slice(0, n) for n in self.grid.shape)
        return i, j, k

    def box(self, low: ArrayLike, high: ArrayLike) -> Slices:
        """The slices that surely hold the anatomical box low..high, clipped to the grid (possibly empty)."""
        scale, spacing = np.asarray(self.scale), np.asarray(self.grid.spacing_mm)
        origin = self.grid.affine[:3, 3]
        first = ((np.asarray(low) - self.slack_mm) * scale - origin) / spacing
        last = ((np.asarray(high) + self.slack_mm) * scale - origin) / spacing
        i, j, k = (
            slice(min(max(0, int(np.floor(a))), n), max(0, min(n, int(np.ceil(b)) + 1)))
            for a, b, n in zip(first, last, self.grid.shape, strict=True)
        )
        return i, j, k

    def at(self, slices: Slices) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x, y, z in a box, in anatomical mm."""
        x, y, z = self.coordinates
        return x[slices], y[slices], z[slices]

    def to_patient_mm(self, point: Sequence[float]) -> np.ndarray:
        """The RAS+ mm position (3,) of the voxel centre whose anatomical coordinates are nearest to `point`."""
        slices = self.box(point, point)
        if any(s.stop <= s.start for s in slices):
            raise ValueError(f"the anatomical point {tuple(point)} lies outside the scanned box")
        x, y, z = self.at(slices)
        square = (x - point[0]) ** 2 + (y - point[1]) ** 2 + (z - point[2]) ** 2
        local = np.unravel_index(int(np.argmin(square)), square.shape)
        return self.grid.to_mm(np.array([s.start + n for s, n in zip(slices, local, strict=True)]))


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int, int], spacing_mm: Sequence[float], length_mm: float
) -> np.ndarray:
    """(I, J, K) float32 noise of mean 0 and SD near 1 that varies over about `length_mm`."""
    coarse_shape = [max(2, int(np.ceil(n * s / length_mm)) + 2) for n, s in zip(shape, spacing_mm, strict=True)]
    values = rng.standard_normal(coarse_shape).astype(np.float32)
    for axis, (count, spacing) in enumerate(zip(shape, spacing_mm, strict=True)):
        positions = 0.5 + np.arange(count) * spacing / length_mm
        matrix = ndimage.map_coordinates(
            np.eye(coarse_shape[axis], dtype=np.float32),
            np.stack(np.meshgrid(positions, np.arange(coarse_shape[axis]), indexing="ij")),
            order=1,
            mode="nearest",
        )
        kernel = max(1.0, 0.3 * length_mm / spacing)
        matrix = ndimage.gaussian_filter1d(matrix, kernel, axis=0, mode="nearest").astype(np.float32)
        values = np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(values / max(float(values.std()), 1e-6), dtype=np.float32)


def smooth_union(a: np.ndarray, b: np.ndarray, blend_mm: float) -> np.ndarray:
    """Union of two distances with a fillet of about `blend_mm` (polynomial smooth minimum)."""
    h = np.maximum(blend_mm - np.abs(a - b), 0.0) / blend_mm
    return np.minimum(a, b) - h * h * (blend_mm / 4)


def smooth_cut(a: np.ndarray, b: np.ndarray, blend_mm: float) -> np.ndarray:
    """What of a is left when b is taken away, with a rounded edge."""
    return -smooth_union(-a, b, blend_mm)


def ellipsoid_distance(
    coordinates: tuple[np.ndarray, np.ndarray, np.ndarray], centre: Sequence[float], radii: Sequence[float]
) -> np.ndarray:
    """First-order signed distance to an axis-aligned ellipsoid."""
    q = [(c - m) / r for c, m, r in zip(coordinates, centre, radii, strict=True)]
    k0 = np.sqrt(q[0] ** 2 + q[1] ** 2 + q[2] ** 2)
    k1 = np.sqrt((q[0] / radii[0]) ** 2 + (q[1] / radii[1]) ** 2 + (q[2] / radii[2]) ** 2)
    floor = np.maximum(k0, 1e-6)
    return floor * (k0 - 1.0) / np.maximum(k1, floor / max(radii))


def ellipsoid(stage: Stage, centre: Sequence[float], radii: Sequence[float], *, margin_mm: float = 4.0) -> Region:
    """An axis-aligned ellipsoid in its box."""
    middle, reach = np.asarray(centre), np.asarray(radii) + margin_mm
    slices = stage.box(middle - reach, middle + reach)
    return Region(slices, ellipsoid_distance(stage.at(slices), centre, radii))


def curve_through(points: Sequence[Point], step_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Sample a uniform Catmull-Rom curve through points.

    Returns positions (N, 3) and the parameter (N,), whose integer values are the given points.
    """
    knots = np.asarray(points, dtype=np.float64)
    padded = np.vstack([2 * knots[0] - knots[1], knots, 2 * knots[-1] - knots[-2]])
    positions, parameter = [], []
    for n in range(len(knots) - 1):
        a, b, c, d = padded[n : n + 4]
        count = max(2, int(np.linalg.norm(c - b) / step_mm))
        t = np.arange(count)[:, None] / count
        cubic = 2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
        positions.append(cubic / 2)
        parameter.append(n + t[:, 0])
    positions.append(knots[-1:])
    parameter.append(np.array([len(knots) - 1.0]))
    return np.concatenate(positions), np.concatenate(parameter)


def tube(
    stage: Stage,
    points: Sequence[Point],
    radii_mm: Sequence[float] | np.ndarray,
    *,
    margin_mm: float = 4.0,
    step_mm: float = 8.0,
) -> Region:
    """A tube of varying radius along a smooth curve through points."""
    positions, parameter = curve_through(points, step_mm)
    radii = np.interp(parameter, np.arange(len(radii_mm)), radii_mm)
    reach = float(max(radii_mm)) + margin_mm
    slices = stage.box(positions.min(axis=0) - reach, positions.max(axis=0) + reach)
    distance = np.full([max(0, s.stop - s.start) for s in slices], FAR_MM, dtype=np.float32)
    for start, end, r0, r1 in zip(positions[:-1], positions[1:], radii[:-1], radii[1:], strict=True):
        reach = max(r0, r1) + margin_mm
        part = stage.box(np.minimum(start, end) - reach, np.maximum(start, end) + reach)
        local = tuple(slice(p.start - s.start, p.stop - s.start) for p, s in zip(part, slices, strict=True))
        if distance[local].size == 0:
            continue
        x, y, z = stage.at(part)
        dx, dy, dz = (np.float32(v) for v in end - start)
        px, py, pz = x - np.float32(start[0]), y - np.float32(start[1]), z - np.float32(start[2])
        length2 = max(float(dx * dx + dy * dy + dz * dz), 1e-6)
        t = np.clip((px * dx + py * dy + pz * dz) / np.float32(length2), 0, 1)
        away = np.sqrt((px - t * dx) ** 2 + (py - t * dy) ** 2 + (pz - t * dz) ** 2)
        np.minimum(distance[local], away - (r0 + t * (r1 - r0)), out=distance[local], casting="same_kind")
    return Region(slices, distance)
