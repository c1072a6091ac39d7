"""The sheet that compares a prediction with its reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from assistant.overlays import GAP, HEADING, INVENTED, MISSED, ROOM, render_comparison, write_comparison
from vision.geometry import CTVolume, Grid, Mask
from vision.structures import GROUPS, by_name

GRID = Grid.from_spacing((60, 60, 20), (3.0, 3.0, 5.0))
CT = CTVolume(np.full(GRID.shape, 40, dtype=np.int16), GRID)


def block(start: int, stop: int) -> Mask:
    voxels = np.zeros(GRID.shape, dtype=bool)
    voxels[start:stop, 10:50, 2:18] = True
    return Mask(voxels, GRID, "liver")


def disagreement(sheet: Image.Image) -> np.ndarray:
    """(rows, columns, 3) of the disagreement in the first row of the sheet."""
    left = GAP + 2 * (ROOM[0] + GAP)
    return np.asarray(sheet.crop((left, HEADING, left + ROOM[0], HEADING + ROOM[1]))).astype(int)


def share_like(picture: np.ndarray, colour: tuple[int, int, int]) -> float:
    return float((np.abs(picture - np.asarray(colour)).max(axis=2) < 45).mean())


def test_missed_and_invented_voxels_have_their_own_colours() -> None:
    whole, half = {"liver": block(10, 50)}, {"liver": block(10, 30)}
    missed = disagreement(render_comparison(CT, whole, half))
    invented = disagreement(render_comparison(CT, half, whole))
    assert share_like(missed, MISSED) > 0.1
    assert share_like(missed, INVENTED) < 0.001
    assert share_like(invented, INVENTED) > 0.1
    assert share_like(invented, MISSED) < 0.001


def test_equal_masks_disagree_nowhere() -> None:
    picture = disagreement(render_comparison(CT, {"liver": block(10, 50)}, {"liver": block(10, 50)}))
    assert share_like(picture, MISSED) + share_like(picture, INVENTED) < 0.001


def test_empty_masks_still_make_a_sheet(tmp_path: Path) -> None:
    empty = {"liver": Mask(np.zeros(GRID.shape, dtype=bool), GRID, "liver")}
    path = write_comparison(tmp_path / "new" / "case.png", ct=CT, reference=empty, predicted=empty)
    with Image.open(path) as sheet:
        assert sheet.size[0] == 3 * ROOM[0] + 4 * GAP


def test_legend_of_many_structures_takes_more_lines_and_loses_none() -> None:
    everything = {name: Mask(block(10, 50).voxels, GRID, name) for name in GROUPS["everything"]}
    one, many = (render_comparison(CT, masks, masks) for masks in ({"liver": block(10, 50)}, everything))
    extra = many.size[1] - one.size[1]
    assert extra in (HEADING, 2 * HEADING)
    last = np.asarray(many.crop((0, many.size[1] - HEADING, many.size[0], many.size[1])))
    rectum = np.abs(last.astype(int) - np.asarray(by_name(GROUPS["everything"][-1]).colour)).max(axis=2)
    assert (rectum < 5).sum() > 50
