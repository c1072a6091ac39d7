"""Grid: every axis order, direction and tilt leads to the same millimetres and back."""

from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision.geometry import Grid, cropped_grid, reorient_array, restore_array

ORDERS = ["".join(code) for axes in itertools.permutations(("LR", "PA", "IS")) for code in itertools.product(*axes)]


def rotation(degrees: tuple[float, float, float]) -> np.ndarray:
    """(3, 3) rotation about x, then y, then z."""
    turned = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        first, second = [a for a in range(3) if a != axis]
        step = np.eye(3)
        step[first, first] = step[second, second] = np.cos(angle)
        step[first, second], step[second, first] = -np.sin(angle), np.sin(angle)
        turned = step @ turned
    return turned


def oblique(degrees: tuple[float, float, float], spacing_mm: tuple[float, float, float] = (0.7, 0.8, 2.5)) -> Grid:
    """A tilted grid of 5 x 6 x 7 voxels."""
    affine = np.eye(4)
    affine[:3, :3] = rotation(degrees) * spacing_mm
    affine[:3, 3] = (-30.0, 12.5, 400.0)
    return Grid((5, 6, 7), affine)


@pytest.fixture
def grid() -> Grid:
    return Grid.from_spacing((5, 6, 7), (0.7, 0.8, 2.5), (-30.0, 12.5, 400.0))


def test_there_are_48_axis_orders() -> None:
    assert len(set(ORDERS)) == 48


@pytest.mark.parametrize("code", ORDERS)
def test_every_axis_order_shows_the_same_value_at_the_same_millimetre(grid: Grid, code: str) -> None:
    voxels = np.arange(5 * 6 * 7).reshape(grid.shape)
    turned, order, signs = grid.reoriented(code)
    moved = reorient_array(voxels, order, signs)
    assert turned.axcodes == code
    assert moved.shape == turned.shape
    assert turned.voxel_ml == pytest.approx(grid.voxel_ml)
    for index in ((0, 0, 0), (4, 5, 6), (1, 3, 2)):
        there = tuple(np.round(turned.to_ijk(grid.to_mm(index))).astype(int))
        assert moved[there] == voxels[index]
    np.testing.assert_array_equal(restore_array(moved, order, signs), voxels)


@pytest.mark.parametrize("code", ORDERS)
def test_axis_codes_are_those_of_nibabel(grid: Grid, code: str) -> None:
    turned, _, _ = grid.reoriented(code)
    assert turned.axcodes == "".join(nib.aff2axcodes(turned.affine))


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.floats(-40, 40)] * 3), st.sampled_from(ORDERS), st.tuples(*[st.floats(-50, 50)] * 3))
def test_millimetres_lead_back_to_the_voxel_at_any_tilt(
    degrees: tuple[float, float, float], code: str, ijk: tuple[float, float, float]
) -> None:
    turned, _, _ = oblique(degrees).reoriented(code)
    np.testing.assert_allclose(turned.to_ijk(turned.to_mm(np.asarray(ijk))), ijk, atol=1e-7)


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.floats(-179, 179)] * 3))
def test_a_tilted_grid_names_each_patient_axis_once(degrees: tuple[float, float, float]) -> None:
    assert sorted(oblique(degrees).patient_axes) == [0, 1, 2]


@settings(max_examples=40, deadline=None)
@given(st.tuples(*[st.floats(-25, 25)] * 3))
def test_a_moderate_tilt_keeps_nibabels_codes(degrees: tuple[float, float, float]) -> None:
    assert oblique(degrees).axcodes == "".join(nib.aff2axcodes(oblique(degrees).affine))


def test_axis_zero_grows_to_the_right_of_the_patient_in_ras(grid: Grid) -> None:
    assert grid.axcodes == "RAS"
    assert grid.to_mm(np.array([1, 0, 0]))[0] > grid.to_mm(np.array([0, 0, 0]))[0]


def test_a_voxel_of_2_mm_holds_8_microlitres() -> None:
    assert Grid.from_spacing((2, 2, 2), (2, 2, 2)).voxel_ml == pytest.approx(0.008)


def test_only_a_tilt_makes_a_grid_oblique(grid: Grid) -> None:
    assert not grid.is_oblique
    assert not grid.reoriented("PIL")[0].is_oblique
    assert oblique((0.1, 0, 0)).is_oblique
    assert not oblique((0.01, 0, 0)).is_oblique


def test_grids_match_up_to_a_micrometre(grid: Grid) -> None:
    moved = grid.affine.copy()
    moved[0, 3] += 5e-4
    assert grid.matches(Grid(grid.shape, moved))
    moved[0, 3] += 5e-3
    assert not grid.matches(Grid(grid.shape, moved))
    assert not grid.matches(Grid((5, 6, 8), grid.affine))


def test_the_affine_is_a_copy_that_nobody_writes_to(grid: Grid) -> None:
    affine = np.eye(4)
    kept = Grid((2, 2, 2), affine)
    affine[0, 0] = 9
    assert kept.spacing_mm == (1, 1, 1)
    with pytest.raises(ValueError, match="read-only"):
        kept.affine[0, 0] = 2


def test_a_crop_keeps_its_millimetres(grid: Grid) -> None:
    part = cropped_grid(grid, (1, 2, 3), (4, 5, 6))
    assert part.shape == (3, 3, 3)
    np.testing.assert_allclose(part.to_mm(np.zeros(3)), grid.to_mm(np.array([1, 2, 3])))


def test_a_grid_prints_shape_spacing_and_codes(grid: Grid) -> None:
    assert repr(grid) == "Grid(5x6x7, 0.7x0.8x2.5 mm, RAS)"


SHEARED = np.eye(4)
SHEARED[0, 1] = 0.2
FLAT = np.diag((1.0, 1.0, 0.0, 1.0))
TWICE = np.eye(4)
TWICE[:3, 1] = TWICE[:3, 0]
MOVED_ROW = np.eye(4)
MOVED_ROW[3, 0] = 1.0


@pytest.mark.parametrize(
    ("shape", "affine", "what"),
    [
        ((2, 2, 2), SHEARED, "orthogonal"),
        ((2, 2, 2), TWICE, "orthogonal"),
        ((2, 2, 2), FLAT, "length above 0 mm"),
        ((2, 2, 2), np.full((4, 4), np.nan), "finite 4x4"),
        ((2, 2, 2), np.diag((1.0, np.inf, 1.0, 1.0)), "finite 4x4"),
        ((2, 2, 2), np.eye(3), "finite 4x4"),
        ((2, 2, 2), MOVED_ROW, "last row"),
        ((2, 2), np.eye(4), "three positive dimensions"),
        ((2, 2, 2, 1), np.eye(4), "three positive dimensions"),
        ((2, 0, 2), np.eye(4), "three positive dimensions"),
    ],
)
def test_a_lattice_that_is_none_is_refused(shape: tuple[int, ...], affine: np.ndarray, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        Grid(shape, affine)  # type: ignore[arg-type]


@pytest.mark.parametrize("codes", ["RLS", "RA", "XAS", "ras", "RASS"])
def test_axis_codes_must_name_every_direction_once(grid: Grid, codes: str) -> None:
    with pytest.raises(ValueError, match="axis codes name each of"):
        grid.reoriented(codes)
