"""Place, completeness, sides, components and intensity of masks of known truth."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from vision.geometry import CTVolume, Grid, Mask, reorient_array
from vision.measure import (
    anatomical_side_check,
    centroid_mm,
    complete,
    components,
    core_intensity,
    cut_at,
    extent_mm,
    intensity,
    largest_component,
    relative_attenuation,
    side_of,
    slice_range,
)
from vision.models.coarse_to_fine.clean import keep_pieces

GRID = Grid.from_spacing((20, 24, 16), (1.5, 1.5, 3.0), (-15.0, -18.0, 100.0))
AXIS_ORDERS = [
    "".join(ends) for names in itertools.permutations(("LR", "PA", "IS")) for ends in itertools.product(*names)
]


def block(start: tuple[int, int, int], stop: tuple[int, int, int], structure: str = "liver") -> Mask:
    voxels = np.zeros(GRID.shape, dtype=bool)
    voxels[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return Mask(voxels, GRID, structure)


def joined(*masks: Mask) -> Mask:
    return Mask(np.logical_or.reduce([mask.voxels for mask in masks]), GRID, masks[0].structure, 0.8)


def turned_to(mask: Mask, axcodes: str) -> Mask:
    grid, order, signs = mask.grid.reoriented(axcodes)
    return Mask(np.ascontiguousarray(reorient_array(mask.voxels, order, signs)), grid, mask.structure)


EMPTY = block((0, 0, 0), (0, 0, 0))
OTHER_GRID = Mask(np.ones((2, 2, 2), dtype=bool), Grid.from_spacing((2, 2, 2), (1, 1, 1)), "spleen")


def test_the_centroid_is_the_middle_of_a_block():
    middle = block((2, 4, 6), (5, 9, 10))
    assert middle.box is not None
    assert centroid_mm(middle) == pytest.approx(middle.box.centre_mm)


def test_slice_range_and_extent_follow_the_up_down_axis():
    mask = block((2, 4, 6), (5, 9, 10))
    assert slice_range(mask) == (6, 9, 7)
    assert slice_range(turned_to(mask, "SAR")) == (6, 9, 7)
    assert slice_range(turned_to(mask, "RAI")) == (6, 9, 7)
    assert extent_mm(mask) == pytest.approx(12.0)


def test_an_empty_mask_has_no_place():
    assert centroid_mm(EMPTY) is None
    assert slice_range(EMPTY) is None
    assert extent_mm(EMPTY) == 0.0
    assert side_of(EMPTY, block((2, 2, 2), (4, 4, 4))) is None


@pytest.mark.parametrize("axcodes", AXIS_ORDERS)
def test_sides_and_cuts_are_the_patients_in_every_axis_order(axcodes):
    right, left = turned_to(block((14, 5, 5), (20, 9, 9)), axcodes), turned_to(block((2, 5, 5), (6, 9, 9)), axcodes)
    assert (side_of(right, left), side_of(left, right)) == ("right", "left")
    assert cut_at(right) == ("right",)
    low_and_behind = turned_to(block((5, 0, 0), (9, 9, 9)), axcodes)
    assert cut_at(low_and_behind) == ("inferior", "posterior")
    assert cut_at(turned_to(block((5, 5, 9), (9, 9, 16)), axcodes)) == ("superior",)


def test_a_structure_in_the_midline_has_no_side():
    assert side_of(block((8, 2, 2), (12, 5, 5)), block((8, 10, 2), (12, 12, 5))) is None


def test_a_structure_inside_the_scan_is_complete():
    mask = block((5, 5, 5), (9, 9, 9))
    assert cut_at(mask) == ()
    assert complete(mask)


def test_an_empty_mask_is_neither_cut_nor_complete():
    assert cut_at(EMPTY) == ()
    assert not complete(EMPTY)


def test_a_tip_of_one_voxel_of_a_large_structure_is_no_cut():
    assert cut_at(joined(block((5, 5, 3), (15, 15, 15)), block((9, 9, 15), (10, 10, 16)))) == ()


def test_a_small_lesion_with_one_voxel_in_the_last_slice_is_cut():
    assert cut_at(joined(block((5, 5, 14), (8, 8, 15)), block((6, 6, 15), (7, 7, 16)))) == ("superior",)


def test_padding_above_the_body_is_not_part_of_the_scan():
    body = block((0, 0, 4), (20, 24, 12))
    assert cut_at(block((5, 5, 6), (9, 9, 12)), body) == ("superior",)
    assert cut_at(block((5, 5, 4), (9, 9, 9)), body) == ("inferior",)
    assert cut_at(block((5, 5, 5), (9, 9, 11)), body) == ()


def test_a_body_on_another_grid_is_refused():
    with pytest.raises(ValueError, match="lies on"):
        cut_at(block((5, 5, 5), (9, 9, 9)), OTHER_GRID)


def test_a_liver_left_of_the_spleen_is_reported_as_a_possible_flip():
    right, left = block((14, 5, 5), (18, 9, 9)), block((2, 5, 5), (6, 9, 9))
    assert anatomical_side_check({"liver": right, "spleen": left}) is None
    notice = anatomical_side_check({"liver": left, "spleen": right})
    assert notice is not None
    assert notice.code == "W_POSSIBLE_FLIP"
    assert "left-right flip" in notice.text


def test_the_side_check_goes_to_the_next_pair_when_one_is_not_in_view():
    right, left = block((14, 5, 5), (18, 9, 9)), block((2, 5, 5), (6, 9, 9))
    assert anatomical_side_check({"liver": right}) is None
    assert anatomical_side_check({"liver": left, "spleen": EMPTY, "stomach": right}) is not None
    assert anatomical_side_check({"postcava": left, "aorta": right}) is not None


def test_components_come_largest_first_and_add_up():
    mask = joined(block((1, 1, 1), (3, 3, 3)), block((8, 8, 8), (14, 14, 12)))
    parts = components(mask)
    assert [part.count for part in parts] == [144, 8]
    assert (np.logical_or.reduce([part.voxels for part in parts]) == mask.voxels).all()
    assert {(part.structure, part.score) for part in parts} == {("liver", 0.8)}
    assert largest_component(mask).count == 144


def test_voxels_that_share_a_corner_are_one_component():
    assert len(components(joined(block((1, 1, 1), (3, 3, 3)), block((3, 3, 3), (5, 5, 5))))) == 1


def test_components_below_the_limits_are_left_out():
    mask = joined(block((1, 1, 1), (3, 3, 3)), block((8, 8, 8), (14, 14, 12)))
    assert len(components(mask, min_volume_ml=0.1)) == 1
    assert len(components(mask, min_diameter_mm=8.0)) == 1
    assert components(mask, min_diameter_mm=50.0) == []


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_components_of_a_single_row_of_voxels_are_told_apart(axis: int):
    row = np.zeros((9, 9, 9), dtype=bool)
    np.moveaxis(row, axis, 0)[[1, 3, 4, 6], 4, 4] = True
    mask = Mask(row, Grid.from_spacing((9, 9, 9), (1.0, 1.0, 1.0)), "liver")
    assert [part.count for part in components(mask)] == [2, 1, 1]
    assert largest_component(mask).count == 2
    kept = keep_pieces(row, least_share=1.0, least_ml=0.0, voxel_ml=1.0)
    assert np.array_equal(kept, largest_component(mask).voxels)


def test_an_empty_mask_has_no_components():
    assert components(EMPTY) == []
    assert not largest_component(EMPTY)


def test_a_limit_below_zero_is_refused():
    with pytest.raises(ValueError, match="limits are at least 0"):
        components(EMPTY, min_volume_ml=-1.0)


def ramp_ct() -> CTVolume:
    hu = np.zeros(GRID.shape, dtype=np.int16)
    hu[5:15] = np.arange(10, dtype=np.int16)[:, None, None] * 10
    return CTVolume(hu, GRID)


def test_intensity_is_that_of_the_voxels_inside():
    result = intensity(ramp_ct(), block((5, 5, 5), (15, 9, 9)))
    assert result is not None
    assert (result.mean, result.p50, result.n) == (45.0, 45.0, 160)
    assert result.sd == pytest.approx(np.std(np.arange(10) * 10))
    assert (result.p5, result.p95) == (0.0, 90.0)


def test_intensity_of_nothing_is_none():
    assert intensity(ramp_ct(), EMPTY) is None
    assert core_intensity(ramp_ct(), EMPTY, erosion_mm=2.0) is None


def test_core_intensity_leaves_out_the_edge_by_millimetres():
    hu = np.full(GRID.shape, -100, dtype=np.float32)
    hu[6:14, 6:14, 5:12] = 50
    mask = block((5, 5, 4), (15, 15, 13))
    ct = CTVolume(hu, GRID)
    core = core_intensity(ct, mask, erosion_mm=3.0)
    whole = intensity(ct, mask)
    assert core is not None
    assert whole is not None
    assert (core.mean, core.sd) == (50.0, 0.0)
    assert whole.mean < 50
    assert core.n == 6 * 6 * 7


def test_the_end_of_the_scan_is_no_edge_of_a_core():
    core = core_intensity(ramp_ct(), block((0, 0, 0), GRID.shape), erosion_mm=5.0)
    assert core is not None
    assert core.n == int(np.prod(GRID.shape))


def test_a_structure_too_thin_has_no_core():
    assert core_intensity(ramp_ct(), block((5, 5, 5), (7, 7, 7)), erosion_mm=4.0) is None


def test_an_erosion_of_zero_is_refused():
    with pytest.raises(ValueError, match="erosion is above 0 mm"):
        core_intensity(ramp_ct(), EMPTY, erosion_mm=0.0)


@pytest.mark.parametrize("measure", [intensity, lambda ct, mask: core_intensity(ct, mask, erosion_mm=1.0)])
def test_a_mask_on_another_grid_has_no_intensity_here(measure):
    with pytest.raises(ValueError, match="lies on"):
        measure(ramp_ct(), OTHER_GRID)


@pytest.mark.parametrize(("mean", "word"), [(90, "hypo"), (99, "iso"), (101, "iso"), (120, "hyper")])
def test_a_lesion_is_named_by_a_tenth_of_the_organs_deviation(mean, word):
    assert relative_attenuation(mean, 100, 15) == word


@pytest.mark.parametrize("values", [(float("nan"), 100, 15), (90, 100, -1)])
def test_attenuation_of_impossible_numbers_is_refused(values):
    with pytest.raises(ValueError, match="finite means"):
        relative_attenuation(*values)
