"""Measuring: pure functions on masks and CTs. No torch, no sentences; scipy, cc3d and edt load on first use."""

from vision.measure.against import HOLLOW, Against, against_organ, lesion_core, lowest_smoothed_hu, organ_tissue
from vision.measure.checks import NON_CONTRAST, SIDE_LANDMARKS, anatomical_side_check, complete, cut_at
from vision.measure.components import components, largest_component
from vision.measure.contact import Contact, contact, distance_mm
from vision.measure.intensity import Intensity, core_intensity, intensity, relative_attenuation
from vision.measure.lobes import lobes
from vision.measure.place import Side, centroid_mm, extent_mm, side_of, slice_range
from vision.measure.regions import Regions, liver_segments, pancreas_parts
from vision.measure.size import Axes, axes, recist_measurable, volume_ml
from vision.measure.thirds import kidney_third

__all__ = [
    "HOLLOW",
    "NON_CONTRAST",
    "SIDE_LANDMARKS",
    "Against",
    "Axes",
    "Contact",
    "Intensity",
    "Regions",
    "Side",
    "against_organ",
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
    "kidney_third",
    "largest_component",
    "lesion_core",
    "liver_segments",
    "lobes",
    "lowest_smoothed_hu",
    "organ_tissue",
    "pancreas_parts",
    "recist_measurable",
    "relative_attenuation",
    "side_of",
    "slice_range",
    "volume_ml",
]
