"""A contact sheet of painted tumours: the same crop of tissue without and with, so that a person can judge them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from vision.io.files.atomic import write_atomically
from vision.synthesis.tumours.protocol import Spacing, Voxel

WINDOW_HU = (-125.0, 275.0)
SIDE, CAPTION, PAIRS_A_ROW = 220, 16, 3
SHOWN_MM = 90.0
OUTLINE = (255, 90, 60)


@dataclass(frozen=True, eq=False)
class Pair:
    """One tumour on its axial slice: `before` and `after` (I, J) HU, its `outline` (I, J) bool, and what it is."""

    before: NDArray[np.float32]
    after: NDArray[np.float32]
    mask: NDArray[np.bool_]
    spacing: tuple[float, float]
    caption: str


def cut_pair(
    before: NDArray[Any],
    after: NDArray[Any],
    mask: NDArray[np.bool_],
    spacing: Spacing,
    *,
    centre: Voxel,
    long_axis_mm: float,
    caption: str,
) -> Pair:
    """Cut the axial slice through a tumour's centre, 90 mm round it or 1.6 long axes; arrays run right, front, up."""
    i, j, k = centre
    reach = max(SHOWN_MM, 1.6 * long_axis_mm) / 2
    across, along = (
        slice(max(0, at - round(reach / step)), at + round(reach / step) + 1)
        for at, step in zip((i, j), spacing[:2], strict=True)
    )
    return Pair(
        before[across, along, k].astype(np.float32),
        after[across, along, k].astype(np.float32),
        mask[across, along, k],
        spacing[:2],
        caption,
    )


def contact_sheet(pairs: Sequence[Pair], png: Path) -> Path:
    """Write without, with, and with the outline of every tumour, three tumours a row, in the soft-tissue window.

    The patient's right is on the left when the first axis runs to the right. Raises ValueError without tumours,
    ResourceError.
    """
    if not pairs:
        raise ValueError("a contact sheet shows at least one tumour")
    rows = -(-len(pairs) // PAIRS_A_ROW)
    columns = min(len(pairs), PAIRS_A_ROW)
    sheet = Image.new("RGB", (columns * (3 * SIDE + 8), rows * (SIDE + CAPTION)))
    words = ImageDraw.Draw(sheet)
    for number, pair in enumerate(pairs):
        left, top = number % PAIRS_A_ROW * (3 * SIDE + 8), number // PAIRS_A_ROW * (SIDE + CAPTION)
        words.text((left + 2, top + 2), pair.caption, fill=(255, 255, 255))
        edge = pair.mask & ~ndimage.binary_erosion(pair.mask)
        nothing = np.zeros_like(edge)
        for place, (hu, line) in enumerate([(pair.before, nothing), (pair.after, nothing), (pair.after, edge)]):
            sheet.paste(picture(hu, line, pair.spacing), (left + place * SIDE, top + CAPTION))
    return write_atomically(png, lambda file: sheet.save(file, format="PNG"))


def picture(hu: NDArray[np.float32], line: NDArray[np.bool_], spacing: tuple[float, float]) -> Image.Image:
    """An axial slice (I, J) HU in the soft-tissue window with `line` (I, J) bool over it, upright, SIDE pixels long."""
    low, high = WINDOW_HU
    grey = np.clip((hu - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    coloured = np.repeat(grey[:, :, None], 3, axis=2)
    coloured[line] = OUTLINE
    upright = np.ascontiguousarray(coloured[::-1, ::-1].transpose(1, 0, 2))
    picture = Image.fromarray(upright)
    width, height = (count * step for count, step in zip(hu.shape, spacing, strict=True))
    scale = SIDE / max(width, height)
    return picture.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BILINEAR)
