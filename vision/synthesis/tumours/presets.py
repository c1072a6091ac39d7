"""Presets: how tumours of an organ look, one row of presets.csv a kind, with where its numbers come from."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal, cast

from vision.synthesis.tumours.protocol import Attenuation, Kind, Organ, Part

Range = tuple[float, float]
Reference = Literal["organ", "water"]

NATIVE_BELOW_HU: MappingProxyType[Organ, float] = MappingProxyType(
    {"liver": 70.0, "pancreas": 55.0, "kidney": 60.0, "colon": 52.0}
)
"""An organ of fewer HU counts as one without contrast agent: the upper ends of the native ranges of hu_and_sizes 5c."""


@dataclass(frozen=True)
class Preset:
    """One row: what a kind of lesion in an organ looks like.

    `share` says how often it is drawn among the rows of its organ and kind; 0 means on request only. `reference` says
    what `contrast_hu` (organ with contrast agent) and `native_hu` (without) count from: the organ, or water (0 HU).
    `parts` holds the probability of each part, `sticks_out` that it may grow out of the organ.
    """

    organ: Organ
    kind: Kind
    name: str
    attenuation: Attenuation
    share: float
    diameter_mm: Range
    reference: Reference
    contrast_hu: Range
    native_hu: Range
    texture_hu: Range
    edge_mm: Range
    parts: MappingProxyType[Part, float]
    sticks_out: float
    source: str


@cache
def presets() -> tuple[Preset, ...]:
    """The rows of presets.csv."""
    with (Path(__file__).parent / "presets.csv").open(newline="", encoding="utf-8") as file:
        return tuple(_preset(row) for row in csv.DictReader(file))


def _preset(row: dict[str, str]) -> Preset:
    def span(name: str, unit: str = "") -> Range:
        return float(row[f"{name}_low{unit}"]), float(row[f"{name}_high{unit}"])

    columns: dict[Part, str] = {
        "necrotic core": "necrotic_core",
        "capsule": "capsule",
        "rim": "rim",
        "calcification": "calcification",
        "septa": "septa",
    }
    return Preset(
        organ=cast(Organ, row["organ"]),
        kind=cast(Kind, row["kind"]),
        name=row["preset"],
        attenuation=cast(Attenuation, row["attenuation"]),
        share=float(row["share"]),
        diameter_mm=span("diameter", "_mm"),
        reference=cast(Reference, row["reference"]),
        contrast_hu=span("contrast"),
        native_hu=span("native"),
        texture_hu=span("texture"),
        edge_mm=span("edge", "_mm"),
        parts=MappingProxyType({part: float(row[column]) for part, column in columns.items()}),
        sticks_out=float(row["sticks_out"]),
        source=row["source"],
    )
