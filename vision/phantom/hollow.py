"""Hollow organs with wall, gas and content, and the vessels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vision.phantom.canvas import Canvas
from vision.phantom.organs import Build
from vision.phantom.shapes import Point, Region, smooth_noise, tube

COLON: tuple[Point, ...] = (
    (84, 22, -128), (94, 16, -104), (103, 4, -72), (106, -6, -40), (98, 14, -22), (74, 62, -30),
    (36, 74, -44), (-6, 78, -46), (-48, 74, -30), (-84, 48, 4), (-108, 0, 24), (-114, -28, -4),
    (-112, -30, -50), (-106, -18, -96), (-92, 10, -130), (-66, 20, -160),
)  # fmt: skip
COLON_RADII = (24, 25, 21, 20, 20, 17, 17, 16, 16, 16, 15, 12.5, 12, 11.5, 12, 13)
STOMACH: tuple[Point, ...] = (
    (-64, -18, 104), (-70, 2, 88), (-68, 30, 66), (-56, 56, 44), (-34, 66, 26), (-8, 64, 18), (14, 58, 18),
    (28, 50, 18),
)  # fmt: skip
STOMACH_RADII = (27, 30, 27, 25, 22, 17, 12, 8.5)
DUODENUM: tuple[Point, ...] = (
    (30, 48, 17), (44, 36, 16), (57, 20, 8), (59, 8, -14), (54, 4, -38), (32, 6, -48), (2, 8, -47), (-22, 8, -38),
    (-34, 16, -20),
)  # fmt: skip
ESOPHAGUS: tuple[Point, ...] = ((2, -22, 200), (-4, -12, 160), (-12, -4, 134), (-26, -6, 116), (-44, -10, 104))


def paint_hollow(
    canvas: Canvas,
    region: Region,
    tissues: dict[str, float],
    *,
    structure: str,
    content: float | np.ndarray,
    wall_mm: float,
    gas_above_y: float | np.ndarray,
) -> None:
    """Paint a hollow organ: its wall, then content, then gas where y lies above a level (the patient is supine)."""
    canvas.paint(region, tissues["bowel_wall"], structure=structure)
    lumen = region.with_distance(region.distance + np.float32(wall_mm))
    canvas.tint(lumen, content)
    y = canvas.stage.at(region.slices)[1]
    gas = np.maximum(lumen.distance, gas_above_y - y).astype(np.float32)
    canvas.tint(region.with_distance(gas), tissues["gas"])


def paint_stomach(canvas: Canvas, tissues: dict[str, float], build: Build, rng: np.random.Generator) -> None:
    """Paint oesophagus, stomach with rugal folds and a gas bubble, and duodenum."""
    stage, f = canvas.stage, build.factor("stomach")
    gullet = tube(stage, ESOPHAGUS, (8.5, 8.5, 8.5, 8, 7.5))
    canvas.paint(gullet, tissues["bowel_wall"] - 10, structure="esophagus")
    bag = tube(stage, build.line("stomach", STOMACH), [r * f for r in STOMACH_RADII], step_mm=10)
    ripple = stage.ripple[bag.slices]
    x, _, z = stage.at(bag.slices)
    food = tissues["gastric_content"] + 16 * np.sin(x / 5 + 2 * ripple) * np.sin(z / 6 + ripple) + 8 * ripple
    folds = 1.2 * np.sin(x / 3.2 + ripple) * np.sin(z / 4.0)
    bag = bag.with_distance((bag.distance + 1.8 * ripple).astype(np.float32))
    level = float(rng.uniform(52, 66))
    paint_hollow(canvas, bag, tissues, structure="stomach", content=food, wall_mm=4.2, gas_above_y=level + 0.4 * folds)
    loop = tube(stage, DUODENUM, (9, 10.5, 11.5, 11.5, 11.5, 11, 9.5, 10.5, 10))
    ripple = stage.ripple[loop.slices]
    loop = loop.with_distance((loop.distance + 0.9 * ripple).astype(np.float32))
    paint_hollow(
        canvas,
        loop,
        tissues,
        structure="duodenum",
        content=tissues["chyme"] + 8 * ripple,
        wall_mm=3.0,
        gas_above_y=300.0,
    )


def paint_colon(canvas: Canvas, tissues: dict[str, float], build: Build, rng: np.random.Generator) -> None:
    """Paint the frame of the colon with haustra, stool and gas."""
    stage, f = canvas.stage, build.factor("colon")
    frame = tube(stage, build.line("colon", COLON), [r * f for r in COLON_RADII], margin_mm=5)
    x, _, z = stage.at(frame.slices)
    ripple = stage.ripple[frame.slices]
    haustra = 2.6 * np.sin(x / 6.5) * np.cos(z / 7.0) + 1.4 * ripple
    frame = frame.with_distance((frame.distance + haustra).astype(np.float32))
    grain = smooth_noise(rng, x.shape, stage.grid.spacing_mm, 7.0)
    stool = tissues["stool"] + 55 * grain - 260 * np.clip(grain - 1.1, 0, 1)
    level = np.where(np.abs(x) > 92, 6.0, 72.0) + 12 * np.sign(ripple) * np.minimum(np.abs(ripple), 1) + 4
    paint_hollow(canvas, frame, tissues, structure="colon", content=stool, wall_mm=2.4, gas_above_y=level)


def paint_intestine(canvas: Canvas, tissues: dict[str, float], rng: np.random.Generator) -> None:
    """Paint loops of small bowel that wander through the middle of the abdomen below the pancreas."""
    stage = canvas.stage
    for row, z in enumerate(np.arange(-32, -158, -25.0)):
        for column, y in enumerate((22.0, 46.0)):
            if z > -60 and column == 0:
                continue
            points: list[Point] = []
            reach = 76 if z < -50 else 62
            for n, x in enumerate(np.linspace(-reach, reach - 4, 9)):
                rise = rng.uniform(4, 15) * (1 if (n + row + column) % 2 else -1)
                points.append((float(x + rng.normal(0, 6)), float(y + rng.normal(0, 9)), float(z + rise * 0.8)))
            radii = rng.uniform(8.5, 12.5, len(points))
            loop = tube(stage, points, radii, step_mm=6)
            ripple = stage.ripple[loop.slices]
            x, _, zz = stage.at(loop.slices)
            folds = 0.8 * np.sin(x / 1.9 + ripple) * np.sin(zz / 2.3)
            loop = loop.with_distance((loop.distance + 0.8 * ripple).astype(np.float32))
            gas_level = float(rng.choice((y + 6, 300.0, 300.0)))
            content = tissues["chyme"] + 10 * ripple + 12 * folds
            paint_hollow(
                canvas, loop, tissues, structure="intestine", content=content, wall_mm=2.6, gas_above_y=gas_level
            )


def paint_jejunum(canvas: Canvas, tissues: dict[str, float], rng: np.random.Generator) -> None:
    """Paint feathery loops of jejunum in the left upper abdomen, in front of the left kidney."""
    stage = canvas.stage
    for z, y in ((16.0, 26.0), (-4.0, 34.0), (-24.0, 26.0), (-16.0, 8.0), (-40.0, 4.0)):
        line: list[Point] = []
        for n, x in enumerate(np.linspace(-88 if z < 0 else -78, -34, 5)):
            rise = 7.0 if n % 2 else -7.0
            line.append((float(x + rng.normal(0, 4)), float(y + rng.normal(0, 5)), float(z + rise)))
        loop = tube(stage, line, rng.uniform(9.0, 12.0, len(line)), step_mm=6)
        x, _, zz = stage.at(loop.slices)
        folds = np.sin(x / 1.5 + stage.ripple[loop.slices]) * np.sin(zz / 1.9)
        loop = loop.with_distance((loop.distance + 0.8 * stage.ripple[loop.slices]).astype(np.float32))
        content = 0.5 * (tissues["chyme"] + tissues["bowel_wall"]) + 16 * folds
        paint_hollow(canvas, loop, tissues, structure="intestine", content=content, wall_mm=2.2, gas_above_y=300.0)


def paint_gall_bladder(canvas: Canvas, tissues: dict[str, float], build: Build) -> None:
    """Paint a pear under the liver."""
    if "gall_bladder" in build.missing:
        return
    f = build.factor("gall_bladder")
    pear = tube(
        canvas.stage,
        build.line("gall_bladder", ((48, 26, 34), (56, 42, 22), (62, 58, 8), (64, 64, 0))),
        [r * f for r in (4, 10, 14, 12)],
    )
    canvas.paint(pear, tissues["bowel_wall"] - 10, structure="gall_bladder")
    canvas.tint(pear.with_distance(pear.distance + 1.6), tissues["bile"])


def paint_vessels(canvas: Canvas, tissues: dict[str, float], build: Build) -> None:
    """Paint aorta, inferior vena cava, portal and splenic vein, and branches that no mask names."""
    stage, f = canvas.stage, build.factor("aorta")

    def vessel(line: Sequence[Point], radii: Sequence[float], hu: float, structure: str | None = None) -> None:
        canvas.paint(tube(stage, line, radii, step_mm=6), hu, structure=structure)

    artery, vein, portal = tissues["artery"], tissues["postcava_high"], tissues["portal_vein"]
    for side in (-1.0, 1.0):
        vessel(((-4, -14, -92), (side * 22 - 2, -16, -118), (side * 40, -28, -160)), (6.5, 6.5, 5.5), artery)
        iliac = ((20, -20, -100), (side * 26 + 6, -26, -124), (side * 44, -36, -160))
        vessel(iliac, (9, 8, 7), tissues["postcava_low"])
        vessel(((-8, -16, 2), (side * 26 - 2, -26, -2), (side * 48, -34, 0)), (3.6, 3.0, 2.4), artery)
        vessel(((18, -15, 4), (side * 28, -22, 2), (side * 50, -32, -4)), (5.0, 5.0, 3.5), vein)
    low = ((20, -18, -100), (20, -16, -60), (20, -15, -4))
    vessel(low, (11, 10.5, 11), tissues["postcava_low"], "postcava")
    vessel(((20, -15, -4), (22, -14, 40), (23, -18, 90), (20, -12, 138)), (11, 11.5, 12.5, 12.5), vein, "postcava")
    aorta = ((-16, -22, 210), (-12, -18, 130), (-8, -14, 50), (-9, -14, -40), (-4, -14, -94))
    vessel(aorta, [r * f for r in (11.5, 11, 10, 9, 8)], artery, "aorta")
    vessel(((-8, -8, 38), (-8, 8, 40), (6, 14, 44), (28, 16, 46)), (3.6, 3.4, 2.8, 2.2), artery)
    vessel(((-8, 6, 40), (-32, 0, 42), (-62, -20, 56)), (3, 2.6, 2.0), artery)
    vessel(((-8, -8, 24), (-8, 10, 12), (-6, 18, -30), (2, 28, -90)), (3.8, 3.6, 3.2, 2.2), artery)
    vessel(((12, 12, 20), (8, 17, -8), (6, 20, -40), (12, 30, -90)), (6, 5.5, 5, 3), portal)
    splenic = ((-80, -34, 58), (-58, -18, 44), (-30, 2, 34), (-4, 13, 26), (14, 12, 22))
    vessel(splenic, (3.6, 4.4, 4.8, 5.0, 6.4), portal, "portal_vein_and_splenic_vein")
    trunk = ((14, 12, 22), (26, 8, 38), (44, 10, 57))
    vessel(trunk, (7, 7, 6.5), portal, "portal_vein_and_splenic_vein")


def paint_strands(canvas: Canvas, tissues: dict[str, float], cavity: np.ndarray, rng: np.random.Generator) -> None:
    """Tint the visceral fat with mesenteric vessels and thin strands."""
    stage = canvas.stage
    for _ in range(90):
        root = (float(rng.normal(0, 12)), 20.0, float(rng.uniform(-90, -5)))
        end = (float(rng.uniform(-100, 100)), float(rng.uniform(10, 88)), float(root[2] + rng.normal(-20, 30)))
        middle = tuple((a + b) / 2 + float(rng.normal(0, 9)) for a, b in zip(root, end, strict=True))
        twig = tube(stage, (root, middle, end), (2.4, 1.7, 0.8), margin_mm=2, step_mm=14)  # type: ignore[arg-type]
        canvas.tint(twig, 0.5 * tissues["portal_vein"] + 10)
    first = smooth_noise(rng, stage.grid.shape, stage.grid.spacing_mm, 12.0)
    ridge = np.clip(1 - np.abs(first) / 0.09, 0, 1) * np.clip(-cavity / 3, 0, 1)
    canvas.hu += 28 * ridge.astype(np.float32)
