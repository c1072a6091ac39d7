"""Mask, Box and CTVolume: frozen, on one grid, never of another type."""

from __future__ import annotations

import numpy as np
import pytest

from vision.geometry import Box, CTVolume, Grid, Mask, Notice, box_around

GRID = Grid.from_spacing((8, 9, 10), (1.0, 2.0, 3.0), (5.0, 0.0, -20.0))


def block(start: tuple[int, int, int], stop: tuple[int, int, int], grid: Grid = GRID) -> Mask:
    """A filled box as a mask of the liver."""
    voxels = np.zeros(grid.shape, dtype=bool)
    voxels[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return Mask(voxels, grid, "liver", 0.75)


def test_a_mask_knows_its_smallest_box_and_its_count() -> None:
    mask = block((1, 2, 3), (4, 4, 9))
    assert mask.box is not None
    assert (mask.box.start, mask.box.stop, mask.box.score) == ((1, 2, 3), (4, 4, 9), 0.75)
    assert mask.count == 3 * 2 * 6
    assert mask


def test_an_empty_mask_is_falsy_and_has_no_box() -> None:
    empty = Mask(np.zeros(GRID.shape, dtype=bool), GRID, "liver")
    assert not empty
    assert empty.box is None
    assert empty.count == 0


def test_one_voxel_is_a_mask() -> None:
    assert block((7, 8, 9), (8, 9, 10)).count == 1


def test_a_box_measures_from_face_to_face_and_has_its_centre_in_millimetres() -> None:
    box = Box((1, 2, 3), (3, 3, 7), GRID)
    assert box.size_mm == (2.0, 2.0, 12.0)
    assert box.centre_mm == (6.5, 4.0, -6.5)
    assert np.zeros(GRID.shape)[box.slices].shape == (2, 1, 4)


@pytest.mark.parametrize(
    ("start", "stop"), [((0, 0, 0), (0, 1, 1)), ((-1, 0, 0), (2, 2, 2)), ((0, 0, 0), (9, 1, 1)), ((3, 0, 0), (2, 1, 1))]
)
def test_a_box_without_voxels_or_outside_its_grid_does_not_exist(
    start: tuple[int, int, int], stop: tuple[int, int, int]
) -> None:
    with pytest.raises(ValueError, match="is empty or leaves"):
        Box(start, stop, GRID)


def test_voxels_of_a_mask_and_hu_of_a_ct_cannot_be_written_to() -> None:
    mask = block((0, 0, 0), (1, 1, 1))
    ct = CTVolume(np.zeros(GRID.shape, dtype=np.int16), GRID)
    with pytest.raises(ValueError, match="read-only"):
        mask.voxels[0, 0, 0] = False
    with pytest.raises(ValueError, match="read-only"):
        ct.hu[0, 0, 0] = 7


def test_a_mask_fits_its_grid() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        Mask(np.zeros((2, 2, 2), dtype=bool), GRID, "liver")


def test_a_mask_is_bool() -> None:
    with pytest.raises(ValueError, match="a mask is bool, got uint8"):
        Mask(np.zeros(GRID.shape, dtype=np.uint8), GRID, "liver")


def test_masks_combine_only_on_equal_grids() -> None:
    mask = block((0, 0, 0), (1, 1, 1))
    mask.require_grid(Grid(GRID.shape, GRID.affine))
    with pytest.raises(ValueError, match="mask of liver lies on"):
        mask.require_grid(GRID.reoriented("LAS")[0])


def test_hu_fit_their_grid() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        CTVolume(np.zeros((2, 2, 2), dtype=np.int16), GRID)


@pytest.mark.parametrize("dtype", [np.float64, np.uint8, np.int32])
def test_hu_are_int16_or_float32(dtype: type) -> None:
    with pytest.raises(ValueError, match="HU are int16 or float32"):
        CTVolume(np.zeros(GRID.shape, dtype=dtype), GRID)


def test_facts_of_a_ct_are_a_copy_that_nobody_writes_to() -> None:
    facts: dict[str, str | float | int] = {"kvp": 120}
    ct = CTVolume(np.zeros(GRID.shape, dtype=np.float32), GRID, facts, (Notice("W_X", "Something."),))
    facts["kvp"] = 80
    assert ct.facts["kvp"] == 120
    assert ct.warnings[0].code == "W_X"
    with pytest.raises(TypeError, match="does not support item assignment"):
        ct.facts["kvp"] = 80  # type: ignore[index]


def test_a_box_goes_round_voxels_with_a_margin_that_ends_at_the_edge() -> None:
    voxels = np.zeros((10, 10, 10), dtype=bool)
    assert box_around(voxels) is None
    voxels[1, 4:6, 9] = True
    assert box_around(voxels) == (slice(1, 2), slice(4, 6), slice(9, 10))
    assert box_around(voxels, 2) == (slice(0, 4), slice(2, 8), slice(7, 10))
