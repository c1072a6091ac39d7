"""Measurements as records: what `vision.measure` says of one finding's mask, each with its unit and method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from assistant.records import BoxRecord, Finding, Measurement
from vision.geometry import Box, Mask
from vision.measure import axes, extent_mm, intensity, volume_ml
from vision.scene import Scene

DIAMETER_METHOD = "RECIST 1.1, longest diameter in the axial plane and the longest extent perpendicular to it"
VOLUME_METHOD = "voxel count x voxel volume"
HU_METHOD = "all voxels of the mask"

Measure = Callable[[Scene, Mask, Finding], tuple[Measurement, ...]]
"""What can be measured of a finding, nothing where it cannot be had."""


def measurement(finding_id: str, quantity: str, value: float, *, unit: str, method: str) -> Measurement:
    """A measurement whose id is '<finding>.<quantity>', its value rounded to what floats carry honestly."""
    return Measurement(
        id=f"{finding_id}.{quantity}", quantity=quantity, value=round(float(value), 4), unit=unit, method=method
    )


def box_record(box: Box) -> BoxRecord:
    """A box as a record."""
    x, y, z = (round(value, 2) for value in box.centre_mm)
    i, j, k = (round(value, 2) for value in box.size_mm)
    return BoxRecord(start=box.start, stop=box.stop, centre_mm=(x, y, z), size_mm=(i, j, k), confidence=box.score)


def _volume(scene: Scene, mask: Mask, finding: Finding) -> tuple[Measurement, ...]:
    if finding.cut_at:
        return ()
    return (measurement(finding.id, "volume", volume_ml(mask), unit="mL", method=VOLUME_METHOD),)


def _axes(scene: Scene, mask: Mask, finding: Finding) -> tuple[Measurement, ...]:
    found = None if finding.cut_at else axes(mask)
    if found is None:
        return ()
    lengths = (("long_axis", found.long_mm, found.long_ends_mm), ("short_axis", found.short_mm, found.short_ends_mm))
    made = [
        measurement(finding.id, quantity, value, unit="mm", method=DIAMETER_METHOD).model_copy(
            update={"endpoints_mm": ends, "slice_index": found.slice_index}
        )
        for quantity, value, ends in lengths
    ]
    who = measurement(finding.id, "who", found.who_mm2, unit="mm2", method="WHO 1979, long axis x short axis")
    return (*made, who)


def _hu(scene: Scene, mask: Mask, finding: Finding) -> tuple[Measurement, ...]:
    found = intensity(scene.ct, mask)
    if found is None:
        return ()
    values = (("mean", found.mean), ("sd", found.sd), ("p5", found.p5), ("p50", found.p50), ("p95", found.p95))
    return tuple(measurement(finding.id, f"hu_{name}", value, unit="HU", method=HU_METHOD) for name, value in values)


def _extent(scene: Scene, mask: Mask, finding: Finding) -> tuple[Measurement, ...]:
    if finding.cut_at:
        return ()
    return (measurement(finding.id, "extent", extent_mm(mask), unit="mm", method="first to last slice, face to face"),)


MEASURES: Mapping[str, tuple[str, Measure]] = MappingProxyType(
    {
        "volume": ("volume", _volume),
        "axes": ("long_axis", _axes),
        "hu": ("hu_mean", _hu),
        "extent": ("extent", _extent),
    }
)
"""What can be asked for, with the quantity that shows that it was measured, and how it is."""
