"""Distance and contact of blocks, spheres and cylinders of known geometry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision.geometry import Grid, Mask, reorient_array
from vision.measure import contact, distance_mm

GRID = Grid.from_spacing((60, 60, 20), (1.0, 1.0, 2.0))


def mask_of(voxels: np.ndarray, structure: str = "pancreas_lesion") -> Mask:
    return Mask(np.broadcast_to(voxels, GRID.shape).copy(), GRID, structure)


def block(start: tuple[int, int, int], stop: tuple[int, int, int]) -> Mask:
    voxels = np.zeros(GRID.shape, dtype=bool)
    voxels[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return mask_of(voxels)


X, Y, Z = np.ogrid[:60, :60, :20]
RADIUS = np.hypot(X - 30, Y - 30)
ANGLE = np.degrees(np.arctan2(Y - 30, X - 30)) % 360
VESSEL = mask_of((RADIUS <= 8) & (Z >= 0), "aorta")


@pytest.mark.parametrize(("stop", "gap"), [(10, 0.0), (11, 0.0), (7, 3.0)])
def test_distance_is_the_gap_between_faces(stop, gap):
    assert distance_mm(block((5, 5, 5), (stop, 9, 9)), block((10, 5, 5), (14, 9, 9))) == pytest.approx(gap)


def test_distance_between_corners_uses_the_spacing_of_each_axis():
    assert distance_mm(block((5, 5, 5), (8, 8, 8)), block((11, 12, 10), (14, 15, 12))) == pytest.approx(
        np.sqrt(3**2 + 4**2 + 4**2)
    )


def test_voxels_that_share_a_corner_touch():
    assert distance_mm(block((5, 5, 5), (8, 8, 8)), block((8, 8, 8), (9, 9, 9))) == 0.0


def test_distance_between_spheres_is_right_to_a_voxel_diagonal():
    grid = Grid.from_spacing((80, 40, 40), (1.0, 1.0, 1.0))
    x, y, z = np.ogrid[:80, :40, :40]
    first = Mask((x - 20) ** 2 + (y - 18) ** 2 + (z - 20) ** 2 <= 12**2, grid, "liver")
    second = Mask((x - 58) ** 2 + (y - 24) ** 2 + (z - 17) ** 2 <= 10**2, grid, "kidney_right")
    truth = np.sqrt(38**2 + 6**2 + 3**2) - 22
    assert truth - np.sqrt(3) <= distance_mm(first, second) <= truth + 1
    assert distance_mm(first, second) == distance_mm(second, first)


def test_a_distance_needs_two_structures():
    with pytest.raises(ValueError, match="the mask of pancreas_lesion is empty"):
        distance_mm(block((5, 5, 5), (8, 8, 8)), block((0, 0, 0), (0, 0, 0)))


@pytest.mark.parametrize("measure", [distance_mm, contact])
def test_masks_on_different_grids_are_not_combined(measure):
    other = Mask(np.ones((2, 2, 2), dtype=bool), Grid.from_spacing((2, 2, 2), (1, 1, 1)), "aorta")
    with pytest.raises(ValueError, match="lies on"):
        measure(block((5, 5, 5), (8, 8, 8)), other)


@pytest.mark.parametrize("degrees", [60, 120, 180, 270, 360])
def test_contact_is_the_angle_that_a_lesion_surrounds(degrees):
    lesion = mask_of((RADIUS > 8) & (RADIUS < 14) & (degrees > ANGLE) & (Z >= 4) & (Z < 9))
    result = contact(lesion, VESSEL)
    assert result.degrees == pytest.approx(degrees, abs=14)
    assert result.share == pytest.approx(degrees / 360 * 5 / 20, abs=0.03)
    assert result.length_mm == pytest.approx(10.0)
    assert result.slice_index in range(4, 9)


def test_contact_is_the_same_in_another_axis_order():
    lesion = mask_of((RADIUS > 8) & (RADIUS < 14) & (ANGLE < 100) & (Z >= 4) & (Z < 9))

    def turned(mask: Mask) -> Mask:
        grid, order, signs = mask.grid.reoriented("SLP")
        return Mask(np.ascontiguousarray(reorient_array(mask.voxels, order, signs)), grid, mask.structure)

    here, there = contact(lesion, VESSEL), contact(turned(lesion), turned(VESSEL))
    assert there.degrees == pytest.approx(here.degrees, abs=2)
    assert there.share == pytest.approx(here.share)
    assert there.length_mm == pytest.approx(here.length_mm)


def test_a_vessel_cut_by_the_scan_has_its_whole_wall():
    edge = mask_of((np.hypot(X - 3, Y - 30) <= 8) & (Z >= 0), "aorta")
    lesion = mask_of((np.hypot(X - 3, Y - 30) > 8) & (np.hypot(X - 3, Y - 30) < 12) & (X > 20))
    assert contact(lesion, edge).degrees == 0.0


def test_a_lesion_apart_from_the_vessel_has_no_contact():
    result = contact(block((50, 50, 5), (55, 55, 9)), VESSEL)
    assert (result.degrees, result.share, result.length_mm, result.slice_index) == (0.0, 0.0, 0.0, None)


def test_an_empty_lesion_has_no_contact():
    assert contact(block((0, 0, 0), (0, 0, 0)), VESSEL).degrees == 0.0


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_distance_is_the_smallest_over_all_pairs_of_voxels(seed):
    rng = np.random.default_rng(seed)
    grid = Grid.from_spacing((12, 9, 8), tuple(rng.uniform(0.5, 5, 3).tolist()))
    first, second = (Mask(rng.random(grid.shape) > 0.99, grid, "liver_lesion") for _ in range(2))
    if not (first and second):
        return
    apart = np.abs(np.argwhere(first.voxels)[:, None] - np.argwhere(second.voxels)[None])
    truth = np.linalg.norm(np.maximum(apart - 1, 0) * grid.spacing_mm, axis=-1).min()
    assert distance_mm(first, second) == pytest.approx(truth)
