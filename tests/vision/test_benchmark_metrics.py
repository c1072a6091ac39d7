"""Metrics against shapes whose overlap is known in closed form."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vision.benchmark import bootstrap_interval, dice, surface_dice, volume_error
from vision.geometry import Grid, Mask

SPACINGS = [(1.0, 1.0, 1.0), (0.5, 1.0, 2.0)]


def block(grid: Grid, size_mm: tuple[float, float, float], *, shift_mm: tuple[float, float, float] = (0, 0, 0)) -> Mask:
    """A box of whole voxels that begins 10 mm into the grid, moved by `shift_mm`."""
    voxels = np.zeros(grid.shape, dtype=bool)
    voxels[
        tuple(
            slice(round((10 + shift) / step), round((10 + shift + size) / step))
            for size, shift, step in zip(size_mm, shift_mm, grid.spacing_mm, strict=True)
        )
    ] = True
    return Mask(voxels, grid, "liver")


def ball(grid: Grid, radius_mm: float) -> Mask:
    centre = np.asarray(grid.shape) * grid.spacing_mm / 2
    axes = [(np.arange(n) + 0.5) * step for n, step in zip(grid.shape, grid.spacing_mm, strict=True)]
    squares = [(axis - middle) ** 2 for axis, middle in zip(axes, centre, strict=True)]
    voxels = squares[0][:, None, None] + squares[1][None, :, None] + squares[2][None, None, :] <= radius_mm**2
    return Mask(voxels, grid, "liver")


def grid_of(spacing_mm: tuple[float, float, float], extent_mm: float = 64.0) -> Grid:
    i, j, k = (round(extent_mm / step) for step in spacing_mm)
    return Grid.from_spacing((i, j, k), spacing_mm)


def empty(grid: Grid) -> Mask:
    return Mask(np.zeros(grid.shape, dtype=bool), grid, "liver")


@pytest.mark.parametrize("spacing_mm", SPACINGS)
def test_dice_of_boxes_moved_by_a_quarter_is_three_quarters(spacing_mm) -> None:
    grid = grid_of(spacing_mm)
    moved = block(grid, (24, 24, 24), shift_mm=(6, 0, 0))
    assert dice(block(grid, (24, 24, 24)), moved) == pytest.approx(0.75)


@pytest.mark.parametrize("spacing_mm", SPACINGS)
def test_surface_dice_of_a_moved_box_is_the_share_of_its_faces_in_reach(spacing_mm) -> None:
    grid = grid_of(spacing_mm)
    size, shift, reach = 32.0, 8.0, 2.0
    moved = block(grid, (size, size, size), shift_mm=(shift, 0, 0))
    sides = 4 * size * (size - shift + reach)
    rim_of_inner_end = size**2 - (size - 2 * reach) ** 2
    expected = (sides + rim_of_inner_end) / (6 * size**2)
    found = surface_dice(block(grid, (size, size, size)), moved, reach)
    # Where face centres stand for faces, reach is off by up to half a voxel along each rim.
    assert found == pytest.approx(expected, abs=8 * size * max(spacing_mm) / (6 * size**2))


def test_surface_dice_weights_faces_by_their_area_not_by_their_number() -> None:
    grid = grid_of((1.0, 1.0, 5.0))
    reference, taller = block(grid, (32, 32, 30)), block(grid, (32, 32, 35))
    # Both tops and the sides of the one slice more are out of reach; a slice is 5 mm high.
    lost = 2 * 32 * 32 + 4 * 32 * 5
    total = 4 * 32 * 32 + 4 * 32 * (30 + 35)
    assert surface_dice(reference, taller, 1.0) == pytest.approx(1 - lost / total)


@pytest.mark.parametrize(("wider_mm", "expected"), [(0.0, 1.0), (1.4, 1.0), (4.0, 0.0)])
def test_surface_dice_of_concentric_balls_is_all_or_nothing(wider_mm: float, expected: float) -> None:
    grid = grid_of((1.0, 1.0, 1.0))
    assert surface_dice(ball(grid, 20.0), ball(grid, 20.0 + wider_mm)) == pytest.approx(expected, abs=0.01)


def test_tolerance_includes_its_own_length() -> None:
    grid = grid_of((1.0, 1.0, 1.0))
    slab, moved = block(grid, (54, 54, 8)), block(grid, (54, 54, 8), shift_mm=(0, 0, 2))
    assert surface_dice(slab, moved, 2.0) == 1.0
    assert surface_dice(slab, moved, 1.9) < 0.2


def test_cut_by_the_scan_range_is_no_surface() -> None:
    grid = Grid.from_spacing((30, 30, 4), (1.0, 1.0, 5.0))
    voxels = np.zeros(grid.shape, dtype=bool)
    voxels[8:22, 8:22, :] = True
    shifted = np.roll(voxels, 6, axis=0)
    # Without top and bottom 4 sides are left; of each box one end and parts of two sides are out of reach.
    found = surface_dice(Mask(voxels, grid, "liver"), Mask(shifted, grid, "liver"), 2.0)
    assert found == pytest.approx((2 * (14 - 6 + 2) + 4) / (4 * 14), abs=0.05)


def test_metrics_are_symmetric_and_one_for_equal_masks() -> None:
    grid = grid_of((1.0, 2.0, 1.0))
    a, b = block(grid, (20, 20, 20)), block(grid, (24, 16, 20), shift_mm=(2, 2, 0))
    assert dice(a, b) == dice(b, a)
    assert surface_dice(a, b) == pytest.approx(surface_dice(b, a))
    assert (dice(a, a), surface_dice(a, a), volume_error(a, a)) == (1.0, 1.0, 0.0)


def test_two_empty_masks_have_no_score_and_one_empty_mask_scores_nothing() -> None:
    grid = grid_of((2.0, 2.0, 2.0))
    full = block(grid, (20, 20, 20))
    assert math.isnan(dice(empty(grid), empty(grid)))
    assert math.isnan(surface_dice(empty(grid), empty(grid)))
    assert dice(full, empty(grid)) == 0.0
    assert surface_dice(empty(grid), full) == 0.0
    assert math.isnan(volume_error(full, empty(grid)))
    assert volume_error(empty(grid), full) == -100.0


def test_volume_error_is_signed_and_in_percent_of_the_reference() -> None:
    grid = grid_of((1.0, 1.0, 2.0))
    assert volume_error(block(grid, (20, 20, 30)), block(grid, (20, 20, 20))) == pytest.approx(50.0)
    assert volume_error(block(grid, (20, 20, 10)), block(grid, (20, 20, 20))) == pytest.approx(-50.0)


@pytest.mark.parametrize("metric", [dice, surface_dice, volume_error])
def test_masks_on_different_grids_are_not_compared(metric) -> None:
    with pytest.raises(ValueError, match="lies on"):
        metric(ball(grid_of((1.0, 1.0, 1.0)), 9), ball(grid_of((2.0, 2.0, 2.0)), 9))


def test_tolerance_below_zero_is_refused() -> None:
    grid = grid_of((2.0, 2.0, 2.0))
    with pytest.raises(ValueError, match="at least 0 mm"):
        surface_dice(ball(grid, 9), ball(grid, 9), -1.0)


def test_interval_holds_the_mean_is_seeded_and_leaves_nan_out() -> None:
    values = [*np.random.default_rng(0).normal(0.9, 0.05, 40), math.nan]
    interval = bootstrap_interval(values, seed=3)
    assert interval == bootstrap_interval(values, seed=3)
    assert interval.n == 40
    assert interval.low < interval.mean < interval.high
    # Normal theory: 1.96 standard errors on each side.
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * 0.05 / math.sqrt(40), rel=0.35)
    assert not interval.is_small


def test_two_values_have_no_interval_but_are_told_themselves() -> None:
    interval = bootstrap_interval([0.9, math.nan, 0.8])
    assert (interval.low, interval.high, interval.n) == (None, None, 2)
    assert interval.values == (0.9, 0.8)
    assert interval.is_small


def test_one_value_has_no_interval_and_none_has_no_mean() -> None:
    assert bootstrap_interval([0.9]).low is None
    assert bootstrap_interval([math.nan]).mean is None
    assert bootstrap_interval([0.9, 0.9, 0.9]).low == pytest.approx(0.9)


def test_median_is_that_of_the_values_and_not_their_mean() -> None:
    interval = bootstrap_interval([0.1, 0.9, math.nan, 0.95])
    assert (interval.median, interval.mean) == (0.9, pytest.approx(0.65))


def test_benchmark_imports_no_torch() -> None:
    program = "import sys, vision.benchmark; print('torch' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
