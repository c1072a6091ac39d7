"""preview.png: one sheet that shows where the findings lie, in three planes, with lesions enlarged and measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from assistant.grounding.numbers import format_measurement
from assistant.panes import (
    BACKGROUND,
    FAINT,
    PAPER,
    PLANE_AXIS,
    WINDOWS_HU,
    Plane,
    draw_letters,
    draw_pane,
    font,
    lay_out,
    render_slice,
    slice_title,
)
from assistant.records import INTENDED_USE, Finding, Measurement, Status
from vision.geometry import CTVolume, Grid, Mask
from vision.structures import by_name

__all__ = ["best_slice", "key_slice", "render_preview", "render_slice"]

GAP = 12
BIG = (740, 620)
SMALL = (420, 304)
LEGEND = 300
CLOSE_UP = 362
MOST_CLOSE_UPS = 4
MOST_LEGEND_ROWS = 26


def best_slice(grid: Grid, masks: Sequence[Mask], plane: Plane) -> int:
    """The stored index of the slice of a plane that shows most: the largest cut of a lesion, else of all structures.

    Each structure counts by its cut as a share of its own largest cut. The middle slice when no mask has voxels.
    """
    axis = grid.axis_of(PLANE_AXIS[plane])
    drawn = [mask for mask in masks if mask]
    lesions = [mask for mask in drawn if by_name(mask.structure).kind == "lesion"]
    if lesions:
        drawn = [max(lesions, key=lambda mask: mask.count)]
    if not drawn:
        return grid.shape[axis] // 2
    shown = np.zeros(grid.shape[axis])
    for mask in drawn:
        cut = np.zeros(grid.shape[axis])
        box = mask.box
        assert box is not None
        others = tuple(a for a in range(3) if a != axis)
        cut[box.slices[axis]] = np.count_nonzero(mask.voxels[box.slices], axis=others)
        shown += cut / cut.max()
    return int(np.argmax(shown))


def key_slice(grid: Grid, masks: Mapping[str, Mask], findings: Sequence[Finding], plane: Plane) -> int:
    """The slice to show first: where the largest measured lesion was measured, else the best slice of the masks."""
    lesions = _measured_lesions(masks, findings)
    if lesions and plane == "axial":
        return int(np.rint(grid.to_ijk(_middle_mm(lesions[0]))[grid.axis_of(2)]))
    return best_slice(grid, list(masks.values()), plane)


def render_preview(ct: CTVolume, masks: Mapping[str, Mask], findings: Sequence[Finding]) -> Image.Image:
    """Draw the sheet: axial, coronal and sagittal through the main finding, close-ups of measured lesions, a legend.

    `masks` maps finding ids to masks on the CT's grid. Findings without a mask are listed in the legend with their
    status. Without any finding the sheet shows the middle of the CT.
    """
    lesions = _measured_lesions(masks, findings)
    width = 4 * GAP + BIG[0] + SMALL[0] + LEGEND
    height = 3 * GAP + BIG[1] + 30 + (CLOSE_UP + GAP if lesions else 0)
    sheet = Image.new("RGB", (width, height), BACKGROUND)
    drawn = list(masks.values())
    measured = [measurement for finding in findings for measurement in finding.measurements]
    second, lower = 2 * GAP + BIG[0], GAP + BIG[1] - SMALL[1]
    places: tuple[tuple[Plane, tuple[int, int], tuple[int, int]], ...] = (
        ("axial", (GAP, GAP), BIG),
        ("coronal", (second, GAP), SMALL),
        ("sagittal", (second, lower), SMALL),
    )
    for plane, corner, room in places:
        index = key_slice(ct.grid, masks, findings, plane)
        pane = lay_out(ct.grid, plane, index, room)
        picture = draw_pane(ct, drawn, pane=pane, window_hu=WINDOWS_HU["abdomen"], measurements=measured)
        _paste(sheet, picture, corner, room, slice_title(ct.grid, plane, index))
        draw_letters(ImageDraw.Draw(sheet), plane, (*corner, corner[0] + room[0], corner[1] + room[1]))
    pen = ImageDraw.Draw(sheet)
    _write_legend(pen, findings, (second + SMALL[0] + GAP, GAP))
    for number, (picture, title) in enumerate(_close_ups(ct, masks, lesions)):
        corner = (GAP + number * (CLOSE_UP + GAP), 2 * GAP + BIG[1])
        _paste(sheet, picture, corner, (CLOSE_UP, CLOSE_UP), title)
    pen.text((GAP, height - 12), INTENDED_USE, font=font(14), fill=FAINT, anchor="lb")
    return sheet


def _measured_lesions(masks: Mapping[str, Mask], findings: Sequence[Finding]) -> list[Finding]:
    """The lesions with a mask and a long axis, largest first, as many as there is room for."""
    lesions = [
        finding
        for finding in findings
        if finding.id in masks and _long_axis(finding) is not None and by_name(finding.structure).kind == "lesion"
    ]
    return sorted(lesions, key=lambda finding: -masks[finding.id].count)[:MOST_CLOSE_UPS]


def _close_ups(
    ct: CTVolume, masks: Mapping[str, Mask], lesions: Sequence[Finding]
) -> Iterator[tuple[Image.Image, str]]:
    """Enlarge each lesion in the slice where it was measured; up to two are also shown without any mark.

    A single lesion is shown in the coronal and sagittal planes too.
    """
    for finding in lesions:
        mask, name = masks[finding.id], f"{finding.id}  {by_name(finding.structure).spoken}"
        yield _close_up(ct, [mask], finding, "axial"), name
        if len(lesions) <= 2:
            yield _close_up(ct, [], finding, "axial"), f"{finding.id}  unmarked"
        if len(lesions) == 1:
            yield _close_up(ct, [mask], finding, "coronal"), f"{finding.id}  coronal"
            yield _close_up(ct, [mask], finding, "sagittal"), f"{finding.id}  sagittal"


def _close_up(ct: CTVolume, masks: Sequence[Mask], finding: Finding, plane: Plane) -> Image.Image:
    middle = _middle_mm(finding)
    axis = ct.grid.axis_of(PLANE_AXIS[plane])
    index = int(np.clip(np.rint(ct.grid.to_ijk(middle)[axis]), 0, ct.grid.shape[axis] - 1))
    long_axis = _long_axis(finding)
    assert long_axis is not None
    field_mm = max(90.0, 2.0 * long_axis.value)
    pane = lay_out(ct.grid, plane, index, (CLOSE_UP, CLOSE_UP), around_mm=middle, field_mm=field_mm)
    measured = finding.measurements if masks and plane == "axial" else ()
    return draw_pane(ct, masks, pane=pane, window_hu=WINDOWS_HU["abdomen"], measurements=measured, fill=0.0)


def _paste(
    sheet: Image.Image, picture: Image.Image, corner: tuple[int, int], room: tuple[int, int], title: str
) -> None:
    """Put a picture in the middle of its room on the sheet, black around it, and write its title."""
    sheet.paste((0, 0, 0), (*corner, corner[0] + room[0], corner[1] + room[1]))
    sheet.paste(picture, (corner[0] + (room[0] - picture.size[0]) // 2, corner[1] + (room[1] - picture.size[1]) // 2))
    pen = ImageDraw.Draw(sheet)
    place = (corner[0] + 8, corner[1] + 6)
    pen.text(place, title, font=font(14), fill=PAPER, stroke_width=2, stroke_fill=(0, 0, 0))


def _write_legend(pen: ImageDraw.ImageDraw, findings: Sequence[Finding], corner: tuple[int, int]) -> None:
    """List the findings with their colours and the number that says most of each."""
    left, top = corner
    for row, finding in enumerate(findings[:MOST_LEGEND_ROWS]):
        structure = by_name(finding.structure)
        middle = top + 12 + row * 23
        if finding.status is Status.SEEN:
            pen.rounded_rectangle([left, middle - 7, left + 14, middle + 7], radius=4, fill=structure.colour)
        else:
            pen.rounded_rectangle([left, middle - 7, left + 14, middle + 7], radius=4, outline=structure.colour)
        pen.text((left + 23, middle), structure.spoken, font=font(14), fill=PAPER, anchor="lm")
        pen.text((left + LEGEND, middle), _main_number(finding), font=font(14), fill=FAINT, anchor="rm")
    if len(findings) > MOST_LEGEND_ROWS:
        rest = f"and {len(findings) - MOST_LEGEND_ROWS} more"
        pen.text((left + 23, top + 12 + MOST_LEGEND_ROWS * 23), rest, font=font(14), fill=FAINT, anchor="lm")


def _main_number(finding: Finding) -> str:
    """The long axis of a lesion, else the volume; why there is none where nothing was measured."""
    if finding.status is not Status.SEEN:
        return finding.status.value
    if not finding.complete:
        return "cut by the scan"
    lesion = by_name(finding.structure).kind == "lesion"
    for quantity in ("long_axis", "volume") if lesion else ("volume", "long_axis"):
        measurement = finding.measurement(quantity)
        if measurement is not None:
            return format_measurement(measurement)
    return ""


def _long_axis(finding: Finding) -> Measurement | None:
    measurement = finding.measurement("long_axis")
    return measurement if measurement is not None and measurement.endpoints_mm is not None else None


def _middle_mm(finding: Finding) -> np.ndarray:
    """The middle of a finding's long axis, RAS+ mm."""
    measurement = _long_axis(finding)
    assert measurement is not None
    assert measurement.endpoints_mm is not None
    return np.asarray(measurement.endpoints_mm).mean(axis=0)
