"""Coarse to fine: the segmenter of the universal network, the whole scan once, then regions of what was asked."""

from vision.models.coarse_to_fine.segmenter import UniversalSegmenter, load_universal

__all__ = ["UniversalSegmenter", "load_universal"]
