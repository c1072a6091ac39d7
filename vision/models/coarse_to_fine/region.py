"""Regions of interest: which part of the coarse grid is looked at again, and in which blocks. Pure arithmetic."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

Voxels = tuple[int, int, int]


@dataclass(frozen=True)
class Region:
    """Coarse voxels start <= index < stop of a padded volume."""

    start: Voxels
    stop: Voxels

    @property
    def shape(self) -> Voxels:
        i, j, k = (b - a for a, b in zip(self.start, self.stop, strict=True))
        return i, j, k

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Index an array of the padded volume with it."""
        i, j, k = (slice(a, b) for a, b in zip(self.start, self.stop, strict=True))
        return i, j, k

    def scaled(self, numerator: int, denominator: int = 1) -> tuple[slice, slice, slice]:
        """The same region in voxels of another size: `numerator` / `denominator` as many along each axis."""
        i, j, k = (
            slice(a * numerator // denominator, b * numerator // denominator)
            for a, b in zip(self.start, self.stop, strict=True)
        )
        return i, j, k

    def within(self, outer: Region) -> Region:
        """The same voxels counted from the first one of `outer`."""
        return Region(_minus(self.start, outer.start), _minus(self.stop, outer.start))


def plan_region(
    box: tuple[slice, slice, slice], *, margin: int, least: int, multiple: int, shape: Voxels, padded: Voxels
) -> Region:
    """The region of a box: `margin` voxels wider, at least `least` long, starts and lengths multiples of `multiple`.

    It stays within `shape`, the voxels there are, as far as its multiples allow, and always within `padded`, whose
    sizes are multiples too.
    """
    start, stop = [], []
    for span, size, most in zip(box, shape, padded, strict=True):
        low, high = max(0, span.start - margin), min(size, span.stop + margin)
        short = max(0, min(least, size) - (high - low))
        low = max(0, min(low - short // 2, size - max(high - low, min(least, size))))
        high = min(size, max(high, low + min(least, size)))
        low -= low % multiple
        length = min(most, -(-(high - low) // multiple) * multiple)
        low = min(low, most - length)
        start.append(low)
        stop.append(low + length)
    return Region((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def plan_blocks(region: Region, *, most_voxels: int, overlap: int, multiple: int) -> list[Region]:
    """Cover a region by blocks of at most `most_voxels` that share at least about `overlap` voxels, longest axis first.

    Starts and lengths are multiples of `multiple`, as the region's are; an axis of three overlaps is not cut.
    """
    counts = [1, 1, 1]
    lengths = list(region.shape)
    while math.prod(lengths) > most_voxels and max(lengths) > 3 * overlap:
        axis = lengths.index(max(lengths))
        counts[axis] += 1
        lengths[axis] = span_length(region.shape[axis], counts[axis], overlap=overlap, multiple=multiple)
    spans = [
        [(first + start, first + stop) for start, stop in cover(size, count, overlap=overlap, multiple=multiple)]
        for first, size, count in zip(region.start, region.shape, counts, strict=True)
    ]
    return [Region((i[0], j[0], k[0]), (i[1], j[1], k[1])) for i, j, k in itertools.product(*spans)]


def span_length(size: int, count: int, *, overlap: int, multiple: int) -> int:
    """The length, a multiple of `multiple`, of `count` equal spans that cover `size` and overlap."""
    return min(size, -(-(size + (count - 1) * overlap) // (count * multiple)) * multiple)


def cover(size: int, count: int, *, overlap: int, multiple: int) -> list[tuple[int, int]]:
    """`count` spans of equal length over `size`, a multiple of `multiple`, evenly spaced at multiples of it."""
    length = span_length(size, count, overlap=overlap, multiple=multiple)
    steps = (size - length) // multiple
    starts = [steps * number // max(1, count - 1) * multiple for number in range(count)]
    return [(start, start + length) for start in dict.fromkeys(starts)]


def ramp(block: tuple[int, int], whole: tuple[int, int], overlap: int) -> np.ndarray:
    """(n,) float32 weights of a block's positions along one axis: linear over the overlap, 1 at an end of the whole."""
    position = np.arange(block[0], block[1]) + 0.5
    rising = (position - block[0]) / overlap if block[0] > whole[0] else np.ones(position.size)
    falling = (block[1] - position) / overlap if block[1] < whole[1] else np.ones(position.size)
    return np.minimum(1.0, np.minimum(rising, falling)).astype(np.float32)


def _minus(first: Voxels, second: Voxels) -> Voxels:
    return first[0] - second[0], first[1] - second[1], first[2] - second[2]
