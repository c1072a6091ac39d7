"""The viewer panel: which slice of the open CT to show, and its picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from assistant.panes import FULL_FILL, PLANES, WINDOWS_HU, Plane, slice_count
from assistant.preview import key_slice, render_slice
from assistant.records import Finding
from assistant.serve.page.view import NO_CT, picture_html
from assistant.serve.sessions import OpenCT
from vision.errors import UsageError
from vision.geometry import Box, Grid
from vision.structures import by_name

OVERLAYS: Mapping[str, float] = MappingProxyType({"Masks": FULL_FILL, "Outlines": 0.0})
NO_OVERLAY = "No masks"
PICTURE_SIZE = (940, 700)


def plane_of(choice: str) -> Plane:
    """The plane that a button names. Raises UsageError for any other word."""
    for plane in PLANES:
        if plane == choice.lower():
            return plane
    raise UsageError("E_PLANE", "There is no such plane.", f"Choose {', '.join(PLANES)}.")


def slice_range(conversation: OpenCT | None, plane: Plane) -> int:
    """The last slice of a plane, counted from 0."""
    return 1 if conversation is None else max(1, slice_count(conversation.ct.grid, plane) - 1)


def first_slice(conversation: OpenCT | None, findings: Sequence[Finding], plane: Plane) -> int:
    """The slice that shows some findings best."""
    if conversation is None:
        return 0
    masks = conversation.masks()
    chosen = {finding.id: masks[finding.id] for finding in findings if finding.id in masks}
    return key_slice(conversation.ct.grid, chosen, findings, plane)


def picture(conversation: OpenCT | None, *, plane: Plane, index: int, window: str, overlay: str) -> str:
    """One slice with everything found so far, as HTML; an invitation when no CT is open."""
    if conversation is None:
        return NO_CT
    if window.lower() not in WINDOWS_HU:
        raise UsageError("E_WINDOW", "There is no such window.", f"Choose {', '.join(WINDOWS_HU)}.")
    marked = overlay != NO_OVERLAY
    findings = conversation.findings if marked else ()
    drawn = render_slice(
        conversation.ct,
        list(conversation.masks().values()) if marked else [],
        slice_index=min(max(int(index), 0), slice_count(conversation.ct.grid, plane) - 1),
        plane=plane,
        window_hu=WINDOWS_HU[window.lower()],
        boxes=_lesion_boxes(findings, conversation.ct.grid),
        measurements=[measurement for finding in findings for measurement in finding.measurements],
        fill=OVERLAYS.get(overlay, 0.0),
        size=PICTURE_SIZE,
    )
    return picture_html(drawn, f"{plane} slice {index} of the CT")


def _lesion_boxes(findings: Sequence[Finding], grid: Grid) -> list[Box]:
    return [
        Box(finding.box.start, finding.box.stop, grid, finding.box.confidence)
        for finding in findings
        if finding.box is not None and by_name(finding.structure).kind == "lesion"
    ]
