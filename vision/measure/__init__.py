"""Measuring: pure functions on masks and CTs. No torch, no sentences; scipy, cc3d and edt load on first use."""

from vision.measure.checks import NON_CONTRAST, SIDE_LANDMARKS, anatomical_side_check, complete, cut_at
from vision.measure.components import components, largest_component
from vision.measure.contact import Contact, contact, distance_mm
from vision.measure.intensity import Intensity, core_intensity, intensity, relative_attenuation
from vision.measure.place import Side, centroid_mm, extent_mm, side_of, slice_range
from vision.measure.regions import Regions, liver_segments, pancreas_parts
from vision.measure.size import Axes, axes, recist_measurable, volume_ml

__all__ = [
    "NON_CONTRAST",
    "SIDE_LANDMARKS",
    "Axes",
    "Contact",
    "Intensity",
    "Regions",
    "Side",
    "anatomical_side_check",
    "axes",
    "centroid_mm",
    "complete",
    "components",
    "contact",
    "core_intensity",
    "cut_at",
    "distance_mm",
    "extent_mm",
    "intensity",
    "largest_component",
    "liver_segments",
    "pancreas_parts",
    "recist_measurable",
    "relative_attenuation",
    "side_of",
    "slice_range",
    "volume_ml",
]
