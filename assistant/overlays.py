"""A sheet to look at after an evaluation: reference beside prediction, and where they disagree."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from assistant.panes import (
    BACKGROUND,
    FAINT,
    PAPER,
    PLANE_AXIS,
    WINDOWS_HU,
    Pane,
    Plane,
    draw_letters,
    draw_pane,
    font,
    lay_out,
    slice_of,
    slice_title,
)
from assistant.preview import best_slice
from vision.geometry import CTVolume, Grid, Mask
from vision.io import write_bytes
from vision.structures import by_name

ROOM = (470, 380)
GAP = 8
HEADING = 30
LEVELS = (0.2, 0.5, 0.8)
MISSED = (66, 135, 245)
INVENTED = (240, 70, 60)
OUTLINED = 0.22


def render_comparison(ct: CTVolume, reference: Mapping[str, Mask], predicted: Mapping[str, Mask]) -> Image.Image:
    """Draw three axial slices and a coronal one; columns are the reference, the prediction and their disagreement.

    Both map structure names to masks on the CT's grid; structures that only one of them holds are left out. Blue is
    missed (in the reference alone), red invented (in the prediction alone), summed over the structures.
    """
    names = [name for name in reference if name in predicted]
    truth, found = [reference[name] for name in names], [predicted[name] for name in names]
    views = _views(ct.grid, truth)
    width = 3 * ROOM[0] + 4 * GAP
    lines = _legend_lines(names, width - 2 * GAP)
    sheet = Image.new("RGB", (width, HEADING + len(views) * (ROOM[1] + GAP) + HEADING * len(lines)), BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    headings = ("Reference", "Predicted", "Disagreement: blue missed, red invented")
    for column, heading in enumerate(headings):
        pen.text((GAP + column * (ROOM[0] + GAP) + 4, 7), heading, font=font(15), fill=PAPER)
    for row, (plane, index) in enumerate(views):
        pane = lay_out(ct.grid, plane, index, ROOM)
        plain = draw_pane(ct, [], pane=pane, window_hu=WINDOWS_HU["abdomen"])
        pictures = (
            draw_pane(ct, truth, pane=pane, window_hu=WINDOWS_HU["abdomen"], fill=OUTLINED),
            draw_pane(ct, found, pane=pane, window_hu=WINDOWS_HU["abdomen"], fill=OUTLINED),
            _disagreement(plain, truth, found, pane=pane),
        )
        for column, picture in enumerate(pictures):
            left, top = GAP + column * (ROOM[0] + GAP), HEADING + row * (ROOM[1] + GAP)
            sheet.paste((0, 0, 0), (left, top, left + ROOM[0], top + ROOM[1]))
            sheet.paste(picture, (left + (ROOM[0] - picture.size[0]) // 2, top + (ROOM[1] - picture.size[1]) // 2))
            draw_letters(pen, plane, (left, top, left + ROOM[0], top + ROOM[1]))
            if column == 0:
                pen.text((left + 6, top + 5), slice_title(ct.grid, plane, index), font=font(13), fill=PAPER)
    for row, line in enumerate(reversed(lines)):
        _write_legend(pen, line, (GAP, sheet.size[1] - HEADING // 2 - HEADING * row))
    return sheet


def write_comparison(path: Path, *, ct: CTVolume, reference: Mapping[str, Mask], predicted: Mapping[str, Mask]) -> Path:
    """Write the sheet of `render_comparison` as PNG."""
    picture = io.BytesIO()
    render_comparison(ct, reference, predicted).save(picture, "PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_bytes(path, picture.getvalue())


def _views(grid: Grid, masks: list[Mask]) -> list[tuple[Plane, int]]:
    """Planes and slices to show: axial ones at fixed levels of what is annotated, and the richest coronal one."""
    axis = grid.axis_of(PLANE_AXIS["axial"])
    boxes = [mask.box for mask in masks if mask.box is not None]
    first = min((box.start[axis] for box in boxes), default=0)
    last = max((box.stop[axis] for box in boxes), default=grid.shape[axis]) - 1
    levels = dict.fromkeys(round(first + level * (last - first)) for level in LEVELS)
    views: list[tuple[Plane, int]] = [("axial", level) for level in levels]
    return [*views, ("coronal", best_slice(grid, masks, "coronal"))]


def _disagreement(picture: Image.Image, truth: list[Mask], found: list[Mask], *, pane: Pane) -> Image.Image:
    """Tint what one of two lists of masks has alone; both are in the same order."""
    missed = np.zeros(pane.count, dtype=bool)
    invented = np.zeros(pane.count, dtype=bool)
    for true, claimed in zip(truth, found, strict=True):
        inside, shown = (slice_of(mask.voxels, mask.grid, pane) for mask in (true, claimed))
        missed |= inside & ~shown
        invented |= shown & ~inside
    for voxels, colour in ((missed, MISSED), (invented, INVENTED)):
        flat = Image.fromarray(np.ascontiguousarray(voxels.T, dtype=np.uint8) * 215)
        picture.paste(colour, (0, 0), flat.resize(picture.size, Image.Resampling.NEAREST))
    return picture


def _legend_lines(names: list[str], width: int) -> list[list[str]]:
    """The structures in lines of a legend no wider than `width`; one empty line for none."""
    lines: list[list[str]] = [[]]
    used = 0.0
    for name in names:
        room = _legend_room(name)
        if lines[-1] and used + room > width:
            lines.append([])
            used = 0.0
        lines[-1].append(name)
        used += room
    return lines


def _legend_room(name: str) -> float:
    """Width of one structure in the legend: its square, its name and the gap behind it."""
    return 34 + font(13).getlength(by_name(name).spoken)


def _write_legend(pen: ImageDraw.ImageDraw, names: list[str], place: tuple[int, int]) -> None:
    """Name the structures in their colours on one line."""
    left, middle = float(place[0]), place[1]
    for name in names:
        structure = by_name(name)
        pen.rounded_rectangle([left, middle - 6, left + 12, middle + 6], radius=3, fill=structure.colour)
        pen.text((left + 18, middle), structure.spoken, font=font(13), fill=FAINT, anchor="lm")
        left += _legend_room(name)
