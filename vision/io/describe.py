"""Facts about a CT for a person who wants to know what was read."""

from __future__ import annotations

from typing import Any

from vision.geometry import CTVolume
from vision.io.hu import HUHistogram

PERCENTS = (1, 5, 25, 50, 75, 95, 99)
PEAKS_HU = {"air": (-1100, -850), "fat": (-120, -60), "soft_tissue": (0, 150)}


def describe_ct(ct: CTVolume) -> dict[str, Any]:
    """Shape, spacing, axes, extent (mm), HU range, percentiles and tissue peaks, clipping, facts and warnings.

    Everything is plain JSON. A peak is the most frequent HU in the tissue's range, None when nothing lies there.
    """
    histogram = HUHistogram.of(ct.hu)
    clipped = histogram.clipped_low or histogram.clipped_high
    spacing = ct.grid.spacing_mm
    return {
        "shape": list(ct.grid.shape),
        "spacing_mm": [round(step, 4) for step in spacing],
        "axcodes": ct.grid.axcodes,
        "oblique": ct.grid.is_oblique,
        "extent_mm": [round(n * step, 1) for n, step in zip(ct.grid.shape, spacing, strict=True)],
        "dtype": str(ct.hu.dtype),
        "hu_range": [histogram.minimum, histogram.maximum],
        "hu_percentiles": {str(percent): histogram.percentile(percent) for percent in PERCENTS},
        "hu_peaks": {tissue: histogram.peak(low, high) for tissue, (low, high) in PEAKS_HU.items()},
        "hu_clipped_to": [histogram.minimum, histogram.maximum] if clipped else None,
        "facts": dict(ct.facts),
        "warnings": [{"code": notice.code, "text": notice.text} for notice in ct.warnings],
    }
