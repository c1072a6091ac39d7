"""Resampling: constants and ramps are exact, whatever the order and direction of the axes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision.geometry import Grid, reorient_array, resample, working_grid
from vision.geometry.resample import interpolation_matrix

SPACINGS = st.tuples(*[st.floats(0.5, 5.0)] * 3)
CODES = st.sampled_from(["RAS", "LPS", "SAR", "PIL", "ALI", "IRP"])


def ramp(grid: Grid, slope: tuple[float, float, float] = (0.3, -0.2, 0.5)) -> np.ndarray:
    """(I, J, K) a linear function of RAS+ mm at every voxel centre."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
    return (grid.to_mm(index) @ np.asarray(slope) + 7.0).astype(np.float32)


def inner(values: np.ndarray, margin: int) -> np.ndarray:
    """Without the `margin` outermost voxels of every axis."""
    return values[tuple(slice(margin, n - margin) for n in values.shape)]


@settings(max_examples=25, deadline=None)
@given(SPACINGS, CODES)
def test_resampling_to_the_same_grid_changes_nothing(spacing: tuple[float, float, float], code: str) -> None:
    grid, _, _ = Grid.from_spacing((6, 7, 8), spacing).reoriented(code)
    values = np.random.default_rng(0).normal(size=grid.shape).astype(np.float32)
    np.testing.assert_allclose(resample(values, grid, grid), values, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(SPACINGS, CODES, st.floats(0.5, 6.0), st.integers(-1000, 1000))
def test_a_constant_stays_that_constant(
    spacing: tuple[float, float, float], code: str, wanted_mm: float, value: int
) -> None:
    grid, _, _ = Grid.from_spacing((9, 8, 10), spacing).reoriented(code)
    result = resample(np.full(grid.shape, value, dtype=np.int16), grid, working_grid(grid, wanted_mm))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, value, rtol=1e-5)


@pytest.mark.parametrize("code", ["RAS", "LPS", "SAR", "PIL"])
def test_a_ramp_in_millimetres_is_exact_on_a_finer_grid(code: str) -> None:
    source, _, _ = Grid.from_spacing((12, 10, 8), (2.0, 2.5, 4.0), (-9.0, 3.0, 70.0)).reoriented(code)
    target = working_grid(source, 1.0)
    np.testing.assert_allclose(inner(resample(ramp(source), source, target), 3), inner(ramp(target), 3), atol=1e-3)


@pytest.mark.parametrize(("factor", "tolerance_mm"), [(2, 0.01), (3, 0.01), (1.5, 0.1), (2.6, 0.1)])
def test_a_ramp_moves_by_less_than_a_tenth_of_a_millimetre_on_a_coarser_grid(
    factor: float, tolerance_mm: float
) -> None:
    source = Grid.from_spacing((60, 4, 4), (1.0, 1.0, 1.0))
    shape = (int(60 / factor), 4, 4)
    target = Grid.from_spacing(shape, (factor, 1.0, 1.0), ((factor - 1) / 2, 0.0, 0.0))
    difference = resample(ramp(source, (1.0, 0, 0)), source, target) - ramp(target, (1.0, 0, 0))
    assert np.abs(difference[3:-3]).max() < tolerance_mm


def test_a_smooth_field_survives_going_finer_and_back() -> None:
    source = Grid.from_spacing((20, 18, 16), (2.0, 2.0, 2.0))
    values = np.sin(ramp(source, (0.05, 0.04, 0.06)) * 2).astype(np.float32)
    fine = working_grid(source, 1.0)
    back = resample(resample(values, source, fine), fine, source)
    assert np.abs(inner(back, 2) - inner(values, 2)).max() < 0.03


@pytest.mark.parametrize("code", ["LAS", "SPR", "AIL"])
def test_a_turned_target_shows_the_same_millimetres(code: str) -> None:
    grid = Grid.from_spacing((6, 7, 8), (1.0, 2.0, 3.0))
    values = np.random.default_rng(1).normal(size=grid.shape).astype(np.float32)
    turned, order, signs = grid.reoriented(code)
    np.testing.assert_allclose(resample(values, grid, turned), reorient_array(values, order, signs), atol=1e-5)


def test_outside_the_source_its_edge_goes_on() -> None:
    source = Grid.from_spacing((4, 4, 4), (1, 1, 1))
    wide = Grid.from_spacing((8, 4, 4), (1, 1, 1), (-2.0, 0.0, 0.0))
    values = resample(ramp(source, (1.0, 0, 0)), source, wide)
    assert values[0, 0, 0] == values[2, 0, 0] == pytest.approx(7.0)


def test_averaging_weighs_all_voxels_of_a_coarser_one() -> None:
    matrix = interpolation_matrix(np.arange(5) * 4 + 1.5, 20, 4.0)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, rtol=1e-6)
    assert (np.count_nonzero(matrix[1:-1], axis=1) == 8).all()


@settings(max_examples=60, deadline=None)
@given(SPACINGS, CODES, st.floats(0.5, 6.0), st.tuples(*[st.integers(1, 40)] * 3))
def test_the_working_grid_covers_the_same_box_of_the_patient(
    spacing: tuple[float, float, float], code: str, wanted_mm: float, shape: tuple[int, int, int]
) -> None:
    grid, _, _ = Grid.from_spacing(shape, spacing, (3.0, -8.0, 100.0)).reoriented(code)
    work = working_grid(grid, wanted_mm)
    assert work.axcodes == "RAS"
    ras, _, _ = grid.reoriented("RAS")
    for own, other in ((-0.5, -0.5), (None, None)):
        first = ras.to_mm(np.full(3, own) if own is not None else np.asarray(ras.shape) - 0.5)
        second = work.to_mm(np.full(3, other) if other is not None else np.asarray(work.shape) - 0.5)
        np.testing.assert_allclose(first, second, atol=1e-6)


def test_the_working_grid_of_a_tilted_ct_keeps_its_tilt() -> None:
    angle = np.deg2rad(10)
    affine = np.diag((1.0, 1.0, 3.0, 1.0))
    affine[1:3, 1] = np.cos(angle), np.sin(angle)
    affine[1:3, 2] = -3 * np.sin(angle), 3 * np.cos(angle)
    tilted = Grid((10, 12, 9), affine)
    work = working_grid(tilted, 2.0)
    np.testing.assert_allclose(work.directions, tilted.directions, atol=1e-9)
    np.testing.assert_allclose(resample(np.ones(tilted.shape), tilted, work), 1.0, rtol=1e-5)


def test_grids_tilted_against_each_other_are_refused() -> None:
    angle = np.deg2rad(3)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    with pytest.raises(ValueError, match="are tilted against each other"):
        resample(np.zeros((4, 4, 4)), Grid.from_spacing((4, 4, 4), (1, 1, 1)), Grid((4, 4, 4), affine))


def test_values_lie_on_their_source() -> None:
    grid = Grid.from_spacing((4, 4, 4), (1, 1, 1))
    with pytest.raises(ValueError, match="do not lie on"):
        resample(np.zeros((4, 4, 5)), grid, grid)
