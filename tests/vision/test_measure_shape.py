"""Thirds of a kidney and lobes of a lesion, on ellipsoids at several spacings and orientations."""

from __future__ import annotations

import numpy as np
import pytest

from vision.geometry import Grid, Mask, reorient_array
from vision.measure import components, kidney_third, lobes

GRID = Grid.from_spacing((40, 40, 60), (2.0, 2.0, 3.0))
SPACINGS = [(1.0, 1.0, 1.0), (0.8, 0.8, 5.0), (3.0, 3.0, 4.0)]


def balls(spacing: tuple[float, float, float], *made: tuple[tuple[float, float, float], float]) -> Mask:
    """Balls of some centres and radii in mm, in a box of 70 mm."""
    shape = tuple(round(70 / step) for step in spacing)
    at = np.stack(np.meshgrid(*(np.arange(n) * step for n, step in zip(shape, spacing, strict=True)), indexing="ij"))
    voxels = np.zeros(shape, dtype=bool)
    for centre, radius in made:
        voxels |= ((at - np.reshape(centre, (3, 1, 1, 1))) ** 2).sum(0) <= radius**2
    return Mask(voxels, Grid.from_spacing((shape[0], shape[1], shape[2]), spacing), "liver_lesion")


def kidney(tilt: float) -> Mask:
    """An ellipsoid of 120 mm, its upper end leaning by `tilt` mm to one side."""
    x, y, z = np.meshgrid(
        *(np.arange(n) * step for n, step in zip(GRID.shape, GRID.spacing_mm, strict=True)), indexing="ij"
    )
    lean = 40 + tilt * (z - 90) / 60
    return Mask(((x - lean) / 22) ** 2 + ((y - 40) / 20) ** 2 + ((z - 90) / 60) ** 2 <= 1, GRID, "kidney_left")


def piece(k: int) -> Mask:
    voxels = np.zeros(GRID.shape, dtype=bool)
    voxels[18:22, 18:22, k : k + 3] = True
    return Mask(voxels, GRID, "kidney_lesion")


@pytest.mark.parametrize("tilt", [-15.0, 0.0, 15.0])
@pytest.mark.parametrize(("k", "third"), [(14, "lower pole"), (29, "interpolar region"), (44, "upper pole")])
def test_a_kidney_has_three_thirds(tilt: float, k: int, third: str) -> None:
    assert kidney_third(kidney(tilt), piece(k)) == third


def test_what_grows_out_of_an_end_belongs_to_it() -> None:
    assert kidney_third(kidney(0.0), piece(56)) == "upper pole"


@pytest.mark.parametrize("axcodes", ["RAS", "LPI", "SAR", "AIL"])
def test_thirds_do_not_depend_on_the_order_of_axes(axcodes: str) -> None:
    turned = []
    for mask in (kidney(10.0), piece(44)):
        grid, order, signs = mask.grid.reoriented(axcodes)
        turned.append(Mask(np.ascontiguousarray(reorient_array(mask.voxels, order, signs)), grid, mask.structure))
    assert kidney_third(*turned) == "upper pole"


def test_an_empty_kidney_or_lesion_has_no_third() -> None:
    empty = Mask(np.zeros(GRID.shape, dtype=bool), GRID, "kidney_left")
    assert kidney_third(empty, piece(20)) is None
    assert kidney_third(kidney(0.0), empty) is None


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("radius", [5.0, 10.0, 25.0])
def test_a_ball_is_one(spacing: tuple[float, float, float], radius: float) -> None:
    assert lobes(balls(spacing, ((33.0, 34.0, 35.0), radius))) == 1


@pytest.mark.parametrize("spacing", SPACINGS)
def test_two_balls_that_touch_are_two_lobes(spacing: tuple[float, float, float]) -> None:
    mask = balls(spacing, ((20.0, 35.0, 35.0), 14.0), ((46.0, 35.0, 35.0), 14.0))
    assert len(components(mask)) == 1
    assert lobes(mask) == 2


def test_balls_that_share_most_of_themselves_are_one() -> None:
    assert lobes(balls((1.0, 1.0, 1.0), ((28.0, 35.0, 35.0), 14.0), ((40.0, 35.0, 35.0), 14.0))) == 1


def test_a_bar_and_a_small_bud_are_one() -> None:
    bar = balls((1.0, 1.0, 1.0), *(((float(x), 35.0, 35.0), 8.0) for x in range(10, 60)))
    assert lobes(bar) == 1
    assert lobes(balls((1.0, 1.0, 1.0), ((30.0, 35.0, 35.0), 14.0), ((46.0, 35.0, 35.0), 2.5))) == 1
    assert lobes(Mask(np.zeros(GRID.shape, dtype=bool), GRID, "liver_lesion")) == 0


def test_a_piece_of_one_slice_is_left_out_where_two_are_asked_for() -> None:
    mask = balls((3.0, 3.0, 5.0), ((15.0, 15.0, 15.0), 2.0), ((45.0, 45.0, 45.0), 9.0))
    assert len(components(mask)) == 2
    (kept,) = components(mask, min_slices=2)
    assert kept.count > 4
