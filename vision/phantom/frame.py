"""The body around the organs: outline, fat, muscle, bones, lungs and table."""

from __future__ import annotations

import numpy as np

from vision.phantom.canvas import Canvas
from vision.phantom.shapes import Region, Stage, ellipsoid, smooth_union, tube

HALF_WIDTH_MM, HALF_DEPTH_MM = 168.0, 122.0
VERTEBRA_MM = 35.0
SPINE_Y = -48.0


def body_distance(stage: Stage) -> np.ndarray:
    """(I, J, K) signed distance to the skin: a rounded box, flatter at the back."""
    x, y, _ = stage.coordinates
    depth = np.where(y < 0, HALF_DEPTH_MM * 0.96, HALF_DEPTH_MM).astype(np.float32)
    u, v = np.abs(x) / HALF_WIDTH_MM, np.abs(y) / depth
    radius = (u**2.4 + v**2.4) ** (1 / 2.4)
    return (radius - 1) * np.float32(HALF_DEPTH_MM) * (1 + 0.35 * u**2 / np.maximum(u**2 + v**2, 1e-3))


def cavity_distance(stage: Stage) -> np.ndarray:
    """(I, J, K) signed distance to the inner abdominal wall, indented by the spine and its muscles."""
    x, y, z = stage.coordinates
    narrow = np.clip(-(z + 60) / 80, 0, 1)
    half_width, half_depth = 135.0 - 14 * narrow, 94.0 - 6 * narrow
    u, v = np.abs(x) / half_width, np.abs(y - 4) / half_depth
    wall = ((u**2.3 + v**2.3) ** (1 / 2.3) - 1) * np.float32(100)
    spine = 34 - np.sqrt((x / 1.05) ** 2 + (y - SPINE_Y + 6) ** 2)
    back = -(y + 66 + 0.10 * np.maximum(np.abs(x) - 60, 0) - 22 * np.clip((50 - np.abs(x)) / 30, 0, 1))
    lower_back = np.where(z < 70, back, back - 0.3 * (z - 70))
    return -smooth_union(-wall, -np.maximum(spine, lower_back), 12.0)


def diaphragm_height(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Height in mm of the domes of the diaphragm over (x, y); lung lies above."""
    right = 136 - ((x - 70) ** 2 / 150 + (y - 8) ** 2 / 170)
    left = 126 - ((x + 72) ** 2 / 150 + (y - 5) ** 2 / 170)
    return -smooth_union(-right, -left, 14.0)


def paint_body(canvas: Canvas, tissues: dict[str, float], skin: np.ndarray, cavity: np.ndarray) -> None:
    """Paint skin, subcutaneous fat, the muscular wall and the visceral fat inside."""
    stage = canvas.stage
    whole = stage.whole
    x, y, _ = stage.coordinates
    canvas.tint(Region(whole, skin), tissues["skin"], edge_mm=2)
    canvas.tint(Region(whole, skin + 2.2), tissues["subcutaneous_fat"] + 3 * stage.ripple, edge_mm=2)
    front = np.clip((y - 20) / 60, 0, 1)
    linea_alba = 7 * np.exp(-((x / 9) ** 2)) * front
    wall = cavity - (13 - 3 * front - linea_alba) - 1.0 * stage.ripple
    wall = np.maximum(wall, skin + 9)
    layers = 14 * np.cos(2 * np.pi * (cavity - 1) / 4.6)
    flank = np.clip((np.abs(x) - 60) / 30, 0, 1) * np.clip((y + 60) / 30, 0, 1)
    canvas.tint(Region(whole, wall), tissues["muscle"] - np.maximum(layers, -4) * 2.2 * flank, edge_mm=2)
    canvas.tint(Region(whole, cavity), tissues["visceral_fat"] + 4 * stage.ripple, edge_mm=2)


def paint_lungs(canvas: Canvas, tissues: dict[str, float], cavity: np.ndarray, rng: np.random.Generator) -> None:
    """Paint the lung bases above the diaphragm, their vessels, and the heart and mediastinum between them."""
    stage = canvas.stage
    slices = stage.box((-150, -110, 20), (150, 110, 400))
    x, y, z = stage.at(slices)
    if x.size == 0:
        return
    wall = cavity[slices] + 3
    heart = ((x + 28) / 62) ** 2 + ((y - 34) / 48) ** 2 + ((z - 172) / 50) ** 2
    heart = (np.sqrt(heart) - 1) * 46
    narrow = 1 + 0.035 * np.maximum(y - 10, 0)
    middle = 24 - np.sqrt((x * narrow) ** 2 + (np.minimum(y + 8, 0) * 0.55) ** 2)
    keep_out = smooth_union(-middle, heart, 8.0)
    lung = np.maximum(np.maximum(wall, diaphragm_height(x, y) + 3 - z), 4 - keep_out)
    air = tissues["lung"] - 0.35 * (y + 40)
    region = Region(slices, lung.astype(np.float32))
    for side, half in (("lung_right", x > 0), ("lung_left", x <= 0)):
        canvas.paint(region.with_distance(np.where(half, lung, 30).astype(np.float32)), air, structure=side)
    for _ in range(70):
        sign = rng.choice((-1.0, 1.0))
        root = (sign * 34.0, -5.0, 190.0)
        end = (sign * rng.uniform(45, 125), rng.uniform(-85, 70), rng.uniform(70, 160))
        bend = tuple((a + b) / 2 + rng.normal(0, 8) for a, b in zip(root, end, strict=True))
        vessel = tube(stage, (root, bend, end), (4.5, 2.2, 0.7), margin_mm=2, step_mm=14)
        for side in ("lung_right", "lung_left"):
            canvas.tint_within(vessel, -60.0, structure=side)
    shown = Region(slices, np.maximum(heart, wall).astype(np.float32))
    canvas.tint(shown, tissues["muscle"] + 25 * (tissues["portal_vein"] > 80), edge_mm=3)
    chamber = ellipsoid(stage, (-34, 40, 182), (34, 28, 34))
    canvas.tint(chamber, 0.85 * tissues["artery"] + 10, edge_mm=5)


def paint_spine(canvas: Canvas, tissues: dict[str, float]) -> None:
    """Paint vertebral bodies, discs, canal, arches and the muscles beside the spine."""
    stage = canvas.stage
    z_low, z_high = _z_extent(stage)
    muscle = tissues["muscle"]
    for side in (-1.0, 1.0):
        slices = stage.box((min(0, side * 80), -115, z_low), (max(0, side * 80), -55, z_high))
        x, y, z = stage.at(slices)
        width = np.clip(36 - 0.06 * z, 24, 40)
        along, deep = (x * side - width) / width, (y + 87 - 0.03 * np.maximum(z, 0)) / 19.0
        erector = ((np.sqrt(along**2 + deep**2) - 1) * 19).astype(np.float32)
        septa = 22 * np.clip(1 - np.abs(stage.ripple[slices]) / 0.12, 0, 1)
        canvas.tint(Region(slices, erector), muscle - 6 - septa, edge_mm=3)
        quadratus = tube(stage, ((side * 72, -66, z_low), (side * 66, -70, -30), (side * 50, -72, 45)), (13, 11, 6))
        canvas.tint(quadratus, muscle)
        psoas = ((side * 52, -36, z_low), (side * 46, -42, -50), (side * 34, -50, 10), (side * 26, -56, 50))
        canvas.tint(tube(stage, psoas, (23, 19, 11, 4)), muscle)
    slices = stage.box((-30, -80, z_low), (30, -15, z_high))
    x, y, z = stage.at(slices)
    phase = np.mod(z, VERTEBRA_MM)
    height = np.abs(phase - VERTEBRA_MM / 2)
    waist = 2.5 * np.clip(1 - height / 12, 0, 1)
    flat = ((np.abs(x) / 25) ** 2.5 + (np.abs(y - SPINE_Y) / 18.5) ** 2.5) ** 0.4
    side_distance = (flat - 1) * 20 + waist
    column = Region(slices, side_distance.astype(np.float32))
    canvas.tint(column, tissues["disc"])
    bone = column.with_distance(np.maximum(side_distance, height - 13.0).astype(np.float32))
    canvas.tint(bone, tissues["cortical_bone"] * 0.75)
    marrow = bone.with_distance(bone.distance + 2.4)
    canvas.tint(marrow, tissues["spongiosa"] + 14 * stage.ripple[slices])
    _paint_arches(canvas, tissues, z_low, z_high)


def _paint_arches(canvas: Canvas, tissues: dict[str, float], z_low: float, z_high: float) -> None:
    """Paint pedicles, laminae, transverse and spinous processes, then the spinal canal."""
    stage, cortex, marrow = canvas.stage, tissues["cortical_bone"] * 0.8, tissues["spongiosa"]
    for level in range(int(np.floor(z_low / VERTEBRA_MM)), int(np.ceil(z_high / VERTEBRA_MM)) + 1):
        z = (level + 0.5) * VERTEBRA_MM
        for side in (-1.0, 1.0):
            arch = ((side * 14, -62, z + 4), (side * 15, -74, z), (side * 4, -86, z - 6))
            transverse = ((side * 15, -70, z + 2), (side * 30, -73, z + 2), (side * 44, -76, z + 4))
            for line, radius in ((arch, 5.0), (transverse, 3.6)):
                bone = tube(stage, line, (radius, radius, radius * 0.9))
                canvas.tint(bone, cortex)
                canvas.tint(bone.with_distance(bone.distance + 1.8), marrow)
        spine = tube(stage, ((0, -86, z - 5), (0, -104, z - 14)), (4.5, 4.0))
        canvas.tint(spine, cortex)
        canvas.tint(spine.with_distance(spine.distance + 1.8), marrow)
    slices = stage.box((-14, -88, z_low), (14, -58, z_high))
    x, y, _ = stage.at(slices)
    canal = (np.sqrt((x / 1.15) ** 2 + (y + 75) ** 2) - 8.5).astype(np.float32)
    canvas.tint(Region(slices, canal), tissues["spinal_canal"])


def paint_ribs(canvas: Canvas, tissues: dict[str, float]) -> None:
    """Paint the ribs that cross the scan, sloping down to the front, and the crests of the iliac bones."""
    stage, cortex, marrow = canvas.stage, tissues["cortical_bone"], tissues["spongiosa"]
    z_low, z_high = _z_extent(stage)
    for level in range(8):
        root_z, reach = 40 + level * 26.0, min(1.0, 0.42 + 0.12 * level)
        angles = np.radians(np.linspace(-68, -68 + 150 * reach, 7))
        for side in (-1.0, 1.0):
            line = [(side * 20.0, -66.0, root_z + 4)]
            for n, angle in enumerate(angles):
                bulge = (abs(np.cos(angle)) ** 2.3 + abs(np.sin(angle)) ** 2.3) ** (-1 / 2.3)
                drop = 62 * reach * (n / 6) ** 1.1
                line.append((side * 141 * bulge * np.cos(angle), 4 + 99 * bulge * np.sin(angle), root_z - drop))
            if line[0][2] - 70 > z_high or line[0][2] < z_low - 20:
                continue
            rib = tube(stage, line, [4.8] * len(line), step_mm=10)
            canvas.tint(rib, cortex)
            canvas.tint(rib.with_distance(rib.distance + 1.7), marrow)
    wings = []
    for side in (-1.0, 1.0):
        for drop in range(0, 60, 4):
            crest = (
                (side * 46.0, -84.0, -112.0 - drop),
                (side * 92.0, -60.0, -98.0 - drop),
                (side * 126.0, -8.0, -104.0 - drop),
                (side * 122.0, 40.0, -128.0 - drop),
            )
            wings.append(tube(stage, crest, (9, 6, 5.5, 5), step_mm=14))
    for wing in wings:
        canvas.tint(wing, cortex * 0.8)
    for wing in wings:
        canvas.tint(wing.with_distance(wing.distance + 2.2), marrow)


def paint_table(canvas: Canvas, tissues: dict[str, float], skin: np.ndarray, *, body_back_mm: float) -> None:
    """Paint the curved table under the back, outside the body, in the scanner's own frame."""
    grid = canvas.stage.grid
    i, j = np.arange(grid.shape[0]), np.arange(grid.shape[1])
    x = (grid.affine[0, 3] + grid.spacing_mm[0] * i)[:, None, None]
    y = (grid.affine[1, 3] + grid.spacing_mm[1] * j)[None, :, None]
    back = float(body_back_mm)
    top = back + (x / 190) ** 2 * 28 - 1
    depth = np.maximum(np.abs(y - (top - 9)) - 9, np.abs(x) - 215).astype(np.float32)
    whole = canvas.stage.whole
    shell = np.broadcast_to(depth, grid.shape)
    outside = np.maximum(shell, 2 - skin)
    canvas.tint(Region(whole, outside), tissues["table_shell"], edge_mm=2)
    canvas.tint(Region(whole, np.maximum(shell + 4.0, 2 - skin)), tissues["table_foam"], edge_mm=2)


def _z_extent(stage: Stage) -> tuple[float, float]:
    """The lowest and highest anatomical z on a stage."""
    z = stage.coordinates[2]
    return float(z[:, :, 0].min()), float(z[:, :, -1].max())
