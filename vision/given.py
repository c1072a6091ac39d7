"""Masks that somebody else made, answered beside a segmenter's own."""

from __future__ import annotations

from collections.abc import Mapping

from vision.geometry import CTVolume, Mask
from vision.segmenter import Encoding, Progress, Segmenter, SizeSource, no_progress


class GivenMasks:
    """A `Segmenter` that answers given masks for their structures and asks `base` for the rest.

    Every mask must lie on the grid of the CT that is asked about; `encode` raises ValueError otherwise.
    """

    def __init__(self, base: Segmenter, masks: Mapping[str, Mask]) -> None:
        self.base = base
        self.masks = dict(masks)
        self.name = f"{base.name}; given: {', '.join(sorted(masks))}"
        self.structures = base.structures | frozenset(masks)
        sizes = base.lesion_sizes if isinstance(base, SizeSource) else {}
        self.lesion_sizes = {name: size for name, size in sizes.items() if name not in masks}

    def encode(self, ct: CTVolume, progress: Progress = no_progress) -> Encoding:
        for mask in self.masks.values():
            mask.require_grid(ct.grid)
        return self.base.encode(ct, progress)

    def segment(self, encoding: Encoding, structure: str) -> Mask:
        return self.masks[structure] if structure in self.masks else self.base.segment(encoding, structure)

    def confidence(self, encoding: Encoding, part: Mask) -> float | None:
        return part.score if part.structure in self.masks else self.base.confidence(encoding, part)
