"""One slice of a CT as a picture: window, masks, boxes and axes in radiological convention. numpy and pillow only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from assistant.grounding.numbers import format_measurement
from assistant.records import Measurement
from vision.errors import UsageError
from vision.geometry import Box, CTVolume, Grid, Mask, reorient_array
from vision.structures import by_name

Plane = Literal["axial", "coronal", "sagittal"]

PLANES: Mapping[Plane, str] = MappingProxyType({"axial": "LPS", "coronal": "LIA", "sagittal": "PIR"})
"""Plane -> the patient sides to which columns, rows and slices of its picture grow: patient right is on the left."""

PLANE_AXIS: Mapping[Plane, int] = MappingProxyType({"axial": 2, "coronal": 1, "sagittal": 0})
"""Plane -> the patient axis (0 right-left, 1 front-back, 2 up-down) that its slices count along."""

WINDOWS_HU: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"abdomen": (-160, 240), "liver": (0, 160), "lung": (-1350, 150), "bone": (-450, 1050)}
)
"""Window name -> lowest and highest HU shown."""

BACKGROUND = (10, 12, 16)
PAPER = (236, 240, 245)
FAINT = (148, 158, 172)
AXIS_COLOUR = (255, 236, 92)
LEGEND_WIDTH = 190
FULL_FILL = 0.38
OPPOSITE = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}


@dataclass(frozen=True)
class Pane:
    """Where the pixels of a picture lie: `grid` has columns, rows, slices as its axes, `index` is the slice in it.

    `size` is (width, height) in pixels of `pixel_mm` mm, square in the patient. `corner` is the column and row of the
    first voxel shown, `count` how many columns and rows are.
    """

    grid: Grid
    index: int
    corner: tuple[int, int]
    count: tuple[int, int]
    pixel_mm: float
    size: tuple[int, int]

    def pixels(self, mm: np.ndarray) -> np.ndarray:
        """RAS+ mm (..., 3) to pixel positions (..., 2) in the picture."""
        inside = self.grid.to_ijk(mm)[..., :2] - np.asarray(self.corner) + 0.5
        return inside * np.asarray(self.grid.spacing_mm[:2]) / self.pixel_mm

    def holds(self, mm: np.ndarray) -> bool:
        """Whether a point (3,) lies in this slice, within half its thickness."""
        return bool(abs(self.grid.to_ijk(mm)[2] - self.index) <= 0.51)


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The typeface of all pictures."""
    return ImageFont.load_default(size)


def slice_count(grid: Grid, plane: Plane) -> int:
    """How many slices a grid has in a plane."""
    return grid.shape[_turn(grid, plane)[1][2]]


def slice_title(grid: Grid, plane: Plane, slice_index: int) -> str:
    """Which slice it is, counted from 0 as stored, as everywhere in answers and reports."""
    return f"{plane.capitalize()} slice {slice_index} (0 to {slice_count(grid, plane) - 1})"


def render_slice(
    ct: CTVolume,
    masks: Sequence[Mask],
    *,
    slice_index: int,
    plane: Plane = "axial",
    window_hu: tuple[float, float] = WINDOWS_HU["abdomen"],
    boxes: Sequence[Box] = (),
    measurements: Sequence[Measurement] = (),
    fill: float = FULL_FILL,
    size: tuple[int, int] = (900, 760),
) -> Image.Image:
    """Draw one slice with its masks, boxes and measured axes, R/L letters, position and a legend at its right.

    `slice_index` counts along the CT's own axis as stored, as `Measurement.slice_index` does. The patient's right is on
    the picture's left and anterior (axial) or superior (coronal, sagittal) is up, whatever the CT's axis order; pixels
    are square in mm. `fill` is the opacity inside the outlines, 0 for outlines alone. `size` is that of the picture.
    Raises UsageError for an unknown plane or a slice outside the CT, ValueError for a mask on another grid.
    """
    pane = lay_out(ct.grid, plane, slice_index, (size[0] - LEGEND_WIDTH, size[1]))
    picture = draw_pane(ct, masks, pane=pane, window_hu=window_hu, boxes=boxes, measurements=measurements, fill=fill)
    canvas = Image.new("RGB", size, BACKGROUND)
    left, top = (size[0] - LEGEND_WIDTH - pane.size[0]) // 2, (size[1] - pane.size[1]) // 2
    canvas.paste(picture, (left, top))
    pen = ImageDraw.Draw(canvas)
    draw_letters(pen, plane, (left, top, left + pane.size[0], top + pane.size[1]))
    _write(pen, (12, 10), slice_title(ct.grid, plane, slice_index), 17, PAPER)
    _write(pen, (12, 32), f"{_position(pane, plane)}   W {_span(window_hu)} L {_level(window_hu)}", 13, FAINT)
    shown = [mask.structure for mask in draw_order(masks) if slice_of(mask.voxels, mask.grid, pane).any()]
    _draw_legend(pen, list(dict.fromkeys(shown)), (size[0] - LEGEND_WIDTH + 10, 14), size[1])
    return canvas


def lay_out(
    grid: Grid,
    plane: Plane,
    slice_index: int,
    room: tuple[int, int],
    *,
    around_mm: np.ndarray | None = None,
    field_mm: float = 110.0,
) -> Pane:
    """Fit one slice into `room` (width, height) pixels; with `around_mm` only the `field_mm` about that point."""
    turned, order, signs = _turn(grid, plane)
    total = grid.shape[order[2]]
    if not 0 <= slice_index < total:
        raise UsageError("E_SLICE", f"There is no {plane} slice {slice_index}.", f"Choose 0 to {total - 1}.")
    index = slice_index if signs[2] > 0 else total - 1 - slice_index
    spacing = np.asarray(turned.spacing_mm[:2])
    low, high = np.zeros(2, dtype=int), np.asarray(turned.shape[:2])
    if around_mm is not None:
        centre = turned.to_ijk(around_mm)[:2]
        low = np.maximum(low, np.floor(centre - field_mm / 2 / spacing)).astype(int)
        high = np.minimum(high, np.ceil(centre + field_mm / 2 / spacing)).astype(int)
    extent = (high - low) * spacing
    pixel_mm = float(max(extent[0] / room[0], extent[1] / room[1]))
    width, height = (max(1, round(length / pixel_mm)) for length in extent)
    count = high - low
    return Pane(turned, index, (int(low[0]), int(low[1])), (int(count[0]), int(count[1])), pixel_mm, (width, height))


def draw_pane(
    ct: CTVolume,
    masks: Sequence[Mask],
    *,
    pane: Pane,
    window_hu: tuple[float, float],
    boxes: Sequence[Box] = (),
    measurements: Sequence[Measurement] = (),
    fill: float = FULL_FILL,
) -> Image.Image:
    """Draw what lies inside one pane: the windowed CT, then masks (lesions on top), boxes and axes."""
    low, high = window_hu
    if not low < high:
        raise UsageError("E_WINDOW", f"A window of {low:g} to {high:g} HU is empty.", "Give the lower value first.")
    hu = Image.fromarray(np.ascontiguousarray(slice_of(ct.hu, ct.grid, pane).T, dtype=np.float32))
    smooth = np.asarray(hu.resize(pane.size, Image.Resampling.BICUBIC))
    grey = np.clip((smooth - low) * (255 / (high - low)), 0, 255)
    picture = Image.fromarray(np.rint(grey).astype(np.uint8)).convert("RGB")
    for mask in draw_order(masks):
        mask.require_grid(ct.grid)
        _tint(picture, slice_of(mask.voxels, mask.grid, pane), mask.structure, fill)
    pen = ImageDraw.Draw(picture)
    for box in boxes:
        _draw_box(pen, box, pane)
    for measurement in measurements:
        draw_axis(pen, measurement, pane)
    return picture


def draw_order(masks: Sequence[Mask]) -> list[Mask]:
    """The masks that have voxels, large ones first and lesions last, so that nothing hides a lesion."""
    return sorted((mask for mask in masks if mask), key=lambda m: (by_name(m.structure).kind == "lesion", -m.count))


def slice_of(voxels: np.ndarray, grid: Grid, pane: Pane) -> np.ndarray:
    """The (columns, rows) of one slice of (I, J, K) voxels that a pane shows; a view."""
    _, order, signs = grid.reoriented(pane.grid.axcodes)
    column, row = pane.corner
    view = reorient_array(voxels, order, signs)[:, :, pane.index]
    return view[column : column + pane.count[0], row : row + pane.count[1]]


def draw_axis(pen: ImageDraw.ImageDraw, measurement: Measurement, pane: Pane) -> None:
    """Draw a measured axis with its millimetres when both its ends lie in the pane's slice."""
    if measurement.endpoints_mm is None or measurement.quantity not in ("long_axis", "short_axis", "diameter"):
        return
    ends = np.asarray(measurement.endpoints_mm)
    if not all(pane.holds(end) for end in ends):
        return
    first, second = pane.pixels(ends)
    pen.line([*first, *second], fill=(0, 0, 0), width=5)
    pen.line([*first, *second], fill=AXIS_COLOUR, width=2)
    for x, y in (first, second):
        pen.ellipse([x - 3, y - 3, x + 3, y + 3], fill=AXIS_COLOUR, outline=(0, 0, 0))
    if measurement.quantity != "short_axis":
        x, y = max((first, second), key=lambda end: float(end[0]))
        text = format_measurement(measurement)
        _write(pen, (min(x + 9, pane.size[0] - pen.textlength(text, font(17)) - 3), y - 9), text, 17, AXIS_COLOUR)


def draw_letters(pen: ImageDraw.ImageDraw, plane: Plane, edges: tuple[int, int, int, int]) -> None:
    """Write at the (left, top, right, bottom) edges of a picture which side of the patient lies there."""
    left, top, right, bottom = edges
    across, down = PLANES[plane][0], PLANES[plane][1]
    middle, centre = (top + bottom) / 2, (left + right) / 2
    for text, x, y, anchor in (
        (OPPOSITE[across], left + 8, middle, "lm"),
        (across, right - 8, middle, "rm"),
        (OPPOSITE[down], centre, top + 6, "mt"),
        (down, centre, bottom - 6, "mb"),
    ):
        _write(pen, (x, y), text, 18, PAPER, anchor)


def _turn(grid: Grid, plane: Plane) -> tuple[Grid, tuple[int, int, int], tuple[int, int, int]]:
    if plane not in PLANES:
        raise UsageError("E_PLANE", f"There is no plane {plane!r}.", f"Choose {', '.join(PLANES)}.")
    return grid.reoriented(PLANES[plane])


def _tint(picture: Image.Image, inside: np.ndarray, structure: str, fill: float) -> None:
    """Lay a structure's colour over a picture, opaque along its edge. `inside` is (columns, rows)."""
    if not inside.any():
        return
    flat = Image.fromarray(np.ascontiguousarray(inside.T, dtype=np.uint8) * 255)
    body = flat.resize(picture.size, Image.Resampling.BILINEAR).point([0] * 128 + [255] * 128)
    place = body.getbbox()
    if place is None:
        return
    place = (max(place[0] - 3, 0), max(place[1] - 3, 0), place[2] + 3, place[3] + 3)
    body = body.crop(place)
    edge = ImageChops.subtract(body, body.filter(ImageFilter.MinFilter(5))).filter(ImageFilter.GaussianBlur(0.7))
    opacity = ImageChops.lighter(edge, body.point([round(level * fill) for level in range(256)]))
    picture.paste(by_name(structure).colour, place, opacity)


def _draw_box(pen: ImageDraw.ImageDraw, box: Box, pane: Pane) -> None:
    """Draw the outline of a box where it crosses the pane's slice, with its confidence."""
    faces = np.asarray([box.start, box.stop], dtype=np.float64) - 0.5
    corners = np.asarray([[faces[a, 0], faces[b, 1], faces[c, 2]] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    mm = box.grid.to_mm(corners)
    depth = pane.grid.to_ijk(mm)[:, 2]
    if not depth.min() <= pane.index <= depth.max():
        return
    points = pane.pixels(mm)
    (left, top), (right, bottom) = points.min(axis=0) - 4, points.max(axis=0) + 4
    pen.rectangle([left, top, right, bottom], outline=AXIS_COLOUR, width=2)
    if box.score is not None:
        _write(pen, (left, top - 5), f"{box.score:.0%}", 14, AXIS_COLOUR, "lb")


def _draw_legend(pen: ImageDraw.ImageDraw, structures: Sequence[str], corner: tuple[int, int], height: int) -> None:
    left, top = corner
    pitch = min(25.0, (height - 2 * top) / max(1, len(structures)))
    for row, name in enumerate(structures):
        structure = by_name(name)
        middle = top + pitch * (row + 0.5)
        pen.rounded_rectangle([left, middle - 7, left + 14, middle + 7], radius=4, fill=structure.colour)
        _write(pen, (left + 23, middle), structure.spoken, 14, PAPER, "lm")


def _write(
    pen: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: int,
    colour: tuple[int, int, int],
    anchor: str = "la",
) -> None:
    pen.text(place, text, font=font(size), fill=colour, anchor=anchor, stroke_width=2, stroke_fill=BACKGROUND)


def _position(pane: Pane, plane: Plane) -> str:
    """Where the slice's middle lies along the patient axis that it cuts, e.g. 'z = -123 mm'."""
    axis = PLANE_AXIS[plane]
    middle = np.asarray([(pane.grid.shape[0] - 1) / 2, (pane.grid.shape[1] - 1) / 2, pane.index])
    return f"{'xyz'[axis]} = {pane.grid.to_mm(middle)[axis]:.0f} mm"


def _span(window_hu: tuple[float, float]) -> str:
    return f"{window_hu[1] - window_hu[0]:.0f}"


def _level(window_hu: tuple[float, float]) -> str:
    return f"{(window_hu[0] + window_hu[1]) / 2:.0f}"
