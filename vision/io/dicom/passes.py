"""Which slices of a stack belong to one pass of the scanner, and which are copies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from itertools import pairwise

import numpy as np

from vision.io.dicom.layout import is_even
from vision.io.dicom.pixels import stored_digests
from vision.io.dicom.slice import FRAME_PASSES, PASSES, Slice

FEWEST_SLICES = 3
SAME_PLACE_MM = 0.01


def passes_in(slices: list[Slice]) -> list[list[Slice]]:
    """A stack without copies to its passes: one, or several that a tag tells apart; [] where no tag does.

    Passes over the same places, or even ones whose ranges overlap: what lies between the slices of one was not
    measured at the same time. What a scanner takes step by step, one range after the other, is one pass.
    """
    repeats = _repeats(slices)
    for depth in range(len(slices[0].passes)):
        named = defaultdict(list)
        for one in slices:
            named[one.passes[depth]].append(one)
        parts = list(named.values())
        if len(parts) == 1 or min(map(len, parts)) < FEWEST_SLICES:
            continue
        # A time may be that of each slice or rotation.
        is_sure = not (*PASSES, *FRAME_PASSES)[depth].endswith("Time")
        if not any(map(_repeats, parts)) if repeats else is_sure and _overlap(parts):
            return parts
    return [] if repeats else [slices]


def _overlap(parts: list[list[Slice]]) -> bool:
    """Whether parts of a stack are even, each by itself, and lie between each other's slices."""
    normal = parts[0][0].normal
    ranges = []
    for part in parts:
        positions = np.array([one.position for _, one in by_height(part)])
        if not is_even(positions, part[0]):
            return False
        heights = positions @ normal
        ranges.append((heights[0], heights[-1]))
    ranges.sort()
    return any(start < end for (_, end), (start, _) in pairwise(ranges))


def without_copies(group: list[Slice]) -> tuple[list[Slice], int]:
    """Keep one of the slices that lie at one place with the same pixels."""
    places = at_places(group)
    shared = [one for place in places if len(place) > 1 for one in place]
    digests = dict(zip(shared, stored_digests(shared), strict=True))
    kept: list[Slice] = []
    for place in places:
        seen: set[Hashable] = set()
        for one in place:
            key = digests.get(one), one.slope, one.intercept
            if key not in seen:
                seen.add(key)
                kept.append(one)
    return kept, len(group) - len(kept)


def at_places(group: Sequence[Slice]) -> list[list[Slice]]:
    """Parallel slices in order along their normal, those at one place together."""
    places: list[list[Slice]] = []
    start = 0.0
    for height, one in by_height(group):
        if places and height - start < SAME_PLACE_MM:
            places[-1].append(one)
        else:
            places.append([one])
            start = height
    return places


def by_height(group: Sequence[Slice]) -> list[tuple[float, Slice]]:
    """Parallel slices in order, each after its place in mm along one normal."""
    normal = group[0].normal
    placed = [(sum(a * b for a, b in zip(normal, one.position, strict=True)), one) for one in group]
    return sorted(placed, key=lambda pair: pair[0])


def _repeats(group: list[Slice]) -> bool:
    return len(at_places(group)) < len(group)
