"""The organs and vessels of the abdomen as shapes in anatomical mm, painted from back to front of priority."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vision.phantom.canvas import Canvas
from vision.phantom.frame import diaphragm_height
from vision.phantom.shapes import (
    Point,
    Region,
    curve_through,
    ellipsoid,
    ellipsoid_distance,
    smooth_cut,
    smooth_union,
    tube,
)

PANCREAS: tuple[Point, ...] = (
    (40, 8, -12),
    (36, 16, 6),
    (20, 24, 18),
    (-4, 26, 24),
    (-30, 12, 32),
    (-56, -3, 43),
    (-78, -20, 53),
)
PANCREAS_RADII = (12.5, 14.5, 10.5, 9.5, 10.0, 10.5, 8.5)
ARTERIAL_HU = 240.0
"""An aorta above this means the arterial phase, in which the spleen is banded."""
PARTS_END = (1.8, 4.2)
LESION_PARAMETER = {"head": 0.8, "body": 3.2, "tail": 5.15}


@dataclass(frozen=True)
class Build:
    """How one person differs from the standard: shift in mm and size factor per organ, extra fat under the skin, and
    which of spleen, gall_bladder, kidney_left and kidney_right are missing."""

    shift: Mapping[str, Point]
    size: Mapping[str, float]
    subcutis_mm: float = 0.0
    missing: frozenset[str] = frozenset()

    @classmethod
    def standard(cls) -> Build:
        """The standard adult."""
        return cls({}, {})

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Build:
        """Draw a person."""
        organs = ("liver", "spleen", "kidney_left", "kidney_right", "pancreas", "stomach", "gall_bladder", "colon")
        shift = {name: tuple(float(v) for v in rng.normal(0, (2.5, 2.5, 5.0))) for name in organs}
        size = {name: float(np.clip(rng.normal(1, 0.08), 0.86, 1.12)) for name in organs}
        size["spleen"] = float(rng.uniform(0.88, 1.18))
        size["aorta"] = float(rng.uniform(0.85, 1.3))
        return cls(shift, size, float(rng.uniform(-5, 24)))  # type: ignore[arg-type]

    def point(self, organ: str, point: Point) -> Point:
        """A point of an organ of the standard adult in this person."""
        dx, dy, dz = self.shift.get(organ, (0.0, 0.0, 0.0))
        return point[0] + dx, point[1] + dy, point[2] + dz

    def line(self, organ: str, points: tuple[Point, ...]) -> list[Point]:
        """Points of an organ, moved."""
        return [self.point(organ, p) for p in points]

    def factor(self, organ: str) -> float:
        """The size factor of an organ."""
        return self.size.get(organ, 1.0)


def paint_liver(canvas: Canvas, tissues: dict[str, float], cavity: np.ndarray, build: Build) -> None:
    """Paint the liver under the right dome: a large right lobe that tapers to the left across the midline."""
    stage, f = canvas.stage, build.factor("liver")
    slices = stage.box((-90, -95, -60), (140, 105, 150))
    at = stage.at(slices)
    x, y, z = at
    right = ellipsoid_distance(at, build.point("liver", (78, -4, 58)), (70 * f, 84 * f, 88 * f))
    left = ellipsoid_distance(at, build.point("liver", (-2, 46, 88)), (72 * f, 36 * f, 30 * f))
    shape = smooth_union(right, left, 34.0)
    visceral = ellipsoid_distance(at, (12, 0, -6), (62, 66, 76))
    shape = smooth_cut(shape, visceral, 22.0)
    shape = smooth_cut(shape, ellipsoid_distance(at, (62, -58, -8), (36, 36, 62)), 10.0)
    shape = smooth_cut(shape, np.sqrt((x - 6) ** 2 + ((y - 76) / 2.6) ** 2 + ((z - 52) / 2.2) ** 2) - 5, 8.0)
    shape = np.maximum(shape + 1.6 * stage.ripple[slices], cavity[slices] + 4)
    shape = np.maximum(shape, z + 4 - diaphragm_height(x, y))
    liver = Region(slices, shape.astype(np.float32))
    canvas.paint(liver, tissues["liver"] + 2.5 * stage.ripple[slices], structure="liver")
    for line, radii in LIVER_VEINS:
        canvas.tint_within(tube(stage, line, radii), tissues["hepatic_vein"], structure="liver")
    for line, radii in LIVER_PORTAL:
        canvas.tint_within(tube(stage, line, radii), tissues["portal_vein"], structure="liver")


LIVER_VEINS: tuple[tuple[tuple[Point, ...], tuple[float, ...]], ...] = (
    (((22, -18, 112), (50, -16, 100), (88, -10, 74), (110, 5, 45)), (6.5, 6, 4.5, 2.0)),
    (((22, -16, 114), (38, 12, 104), (55, 40, 82), (68, 56, 55)), (5.5, 5, 3.5, 1.5)),
    (((20, -14, 114), (0, 18, 106), (-22, 45, 96), (-45, 56, 88)), (5, 4, 3, 1.2)),
    (((88, -10, 74), (96, -35, 62), (104, -50, 48)), (3, 2.2, 1)),
    (((55, 40, 82), (80, 48, 76), (98, 46, 70)), (2.8, 2, 1)),
)
LIVER_PORTAL: tuple[tuple[tuple[Point, ...], tuple[float, ...]], ...] = (
    (((42, 10, 56), (62, 4, 62), (85, 8, 56), (108, 20, 40)), (6, 5, 3.5, 1.5)),
    (((62, 4, 62), (84, -24, 66), (104, -42, 76)), (4.5, 3, 1.2)),
    (((70, 4, 62), (90, 22, 84), (104, 30, 104)), (4, 2.8, 1)),
    (((42, 10, 56), (22, 30, 74), (2, 48, 82), (-30, 52, 84)), (5.5, 4.5, 3.5, 1.2)),
    (((85, 8, 56), (92, 12, 28), (96, 8, 2)), (3.5, 2.5, 1)),
)


def paint_spleen(canvas: Canvas, tissues: dict[str, float], cavity: np.ndarray, build: Build) -> None:
    """Paint the spleen: a crescent along the left posterior wall."""
    if "spleen" in build.missing:
        return
    stage, f = canvas.stage, build.factor("spleen")
    centre = build.point("spleen", (-94, -42, 66))
    outer = ellipsoid(stage, centre, (40 * f, 50 * f, 57 * f))
    at = stage.at(outer.slices)
    hollow = ellipsoid_distance(at, (centre[0] + 38, centre[1] + 22, centre[2] - 6), (42, 40, 70))
    shape = smooth_cut(outer.distance, hollow, 12.0)
    shape = np.maximum(shape + 1.2 * stage.ripple[outer.slices], cavity[outer.slices] + 4)
    shape = np.maximum(shape, at[2] + 5 - diaphragm_height(at[0], at[1]))
    bands = 22 * np.sin(3.5 * stage.ripple[outer.slices]) if tissues["artery"] > ARTERIAL_HU else 0.0
    canvas.paint(outer.with_distance(shape.astype(np.float32)), tissues["spleen"] + bands, structure="spleen")


def paint_kidneys(canvas: Canvas, tissues: dict[str, float], build: Build) -> None:
    """Paint both kidneys with cortex, medullary pyramids and the fat and pelvis of the sinus."""
    for side, name, z0 in ((-1.0, "kidney_left", -5.0), (1.0, "kidney_right", -16.0)):
        if name in build.missing:
            continue
        stage, f = canvas.stage, build.factor(name)
        cx, cy, cz = build.point(name, (side * 66, -40, z0))
        slices = stage.box((cx - 45, cy - 45, cz - 72), (cx + 45, cy + 45, cz + 72))
        x, y, z = stage.at(slices)
        lean = cx - side * 0.16 * (z - cz)
        at = (x - lean, y - cy - 0.10 * (z - cz), z - cz)
        bean = ellipsoid_distance(at, (0, 0, 0), (28 * f, 27 * f, 54 * f)) + 1.0 * stage.ripple[slices]
        hilum = ellipsoid_distance(at, (-side * 25 * f, 9, 0), (23 * f, 11 * f, 24 * f))
        shape = smooth_cut(bean, hilum, 8.0)
        kidney = Region(slices, shape.astype(np.float32))
        canvas.paint(kidney, tissues["kidney_cortex"], structure=name)
        angle, height = np.arctan2(at[1], at[0] * side + 4), at[2] / (54 * f)
        columns = 2.2 * np.cos(5 * angle) + 2.2 * np.cos(15 * height)
        medulla = np.maximum(bean + 8.5 - columns, 5 - hilum)
        canvas.tint_within(kidney.with_distance(medulla.astype(np.float32)), tissues["kidney_medulla"], structure=name)
        pelvis = tube(
            stage,
            ((cx - side * 6, cy + 5, cz), (cx - side * 24, cy + 8, cz - 6), (cx - side * 32, cy + 6, cz - 36)),
            (5.0, 6.5, 2.2),
        )
        canvas.tint(pelvis.with_distance(pelvis.distance), tissues["kidney_pelvis"])
        canvas.labels[pelvis.slices][pelvis.inside] = 0


def paint_pancreas(canvas: Canvas, tissues: dict[str, float], build: Build) -> None:
    """Paint the pancreas from the duodenal loop to the splenic hilum in three parts, lobulated."""
    stage, f = canvas.stage, build.factor("pancreas")
    line = build.line("pancreas", PANCREAS)
    gland = tube(stage, line, [r * f for r in PANCREAS_RADII], step_mm=6)
    x, y, z = stage.at(gland.slices)
    lobules = 1.3 * np.sin(x / 2.6 + z / 4) * np.sin(y / 2.8 + z / 3.1) + 0.9 * stage.ripple[gland.slices]
    uncinate = ellipsoid_distance((x, y, z), build.point("pancreas", (28, 4, -16)), (15 * f, 9 * f, 13 * f))
    shape = smooth_union(gland.distance, uncinate, 8.0) + lobules
    positions, parameter = curve_through(line, 4.0)
    x_ends = np.interp(PARTS_END, parameter, positions[:, 0])
    hu = tissues["pancreas"] - 10 * np.clip(lobules, 0, 2)
    whole = gland.with_distance(shape.astype(np.float32))
    canvas.paint(whole, hu, structure="pancreas_body")
    for name, belongs in (("pancreas_head", x > x_ends[0]), ("pancreas_tail", x < x_ends[1])):
        canvas.labels[whole.slices][whole.inside & belongs] = canvas.label_of(name)
    duct = tube(stage, line, [1.1] * len(line), margin_mm=2, step_mm=6)
    canvas.tint(duct, 15.0)


def lesion_seat(build: Build, part: str) -> Point:
    """The point on the axis of the pancreas where a lesion of a part sits."""
    positions, parameter = curve_through(build.line("pancreas", PANCREAS), 1.0)
    x, y, z = (float(np.interp(LESION_PARAMETER[part], parameter, positions[:, a])) for a in range(3))
    return x, y, z


def paint_adrenals(canvas: Canvas, tissues: dict[str, float]) -> None:
    """Paint both adrenal glands: an inverted Y of thin limbs."""
    for name, x, y, z, side in (
        ("adrenal_gland_left", -36.0, -24.0, 44.0, -1.0),
        ("adrenal_gland_right", 30.0, -33.0, 50.0, 1.0),
    ):
        for rise in (-7, 0, 7):
            top = (x, y, z + rise)
            for foot in ((x + side * 9, y - 16, z + rise - 3), (x - side * 1, y - 17, z + rise - 2)):
                canvas.paint(tube(canvas.stage, (top, foot), (3.4, 2.2)), tissues["adrenal"], structure=name)
