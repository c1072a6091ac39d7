"""Clean-up, sides and order: each rule on a mask made for it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from vision.models.coarse_to_fine import clean, find, sides
from vision.structures import ABDOMENATLAS, by_name

MM = (1.5, 1.5, 1.5)


def boxes(*spans: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]) -> np.ndarray:
    """(40, 40, 40) bool with some boxes filled."""
    voxels = np.zeros((40, 40, 40), dtype=bool)
    for i, j, k in spans:
        voxels[slice(*i), slice(*j), slice(*k)] = True
    return voxels


LARGE, MIDDLE, SMALL = ((2, 12), (2, 12), (2, 12)), ((20, 26), (20, 26), (20, 26)), ((30, 32), (30, 32), (30, 32))


@pytest.mark.parametrize(
    ("share", "least_ml", "stays"),
    [
        (1.0, 0.0, (LARGE,)),
        (0.2, 0.0, (LARGE, MIDDLE)),
        (0.0, 0.0, (LARGE, MIDDLE, SMALL)),
        (0.0, 0.1, (LARGE, MIDDLE)),
    ],
)
def test_pieces_stay_by_their_share_and_volume(share: float, least_ml: float, stays: tuple) -> None:
    kept = clean.keep_pieces(boxes(LARGE, MIDDLE, SMALL), least_share=share, least_ml=least_ml, voxel_ml=1.5**3 / 1000)
    np.testing.assert_array_equal(kept, boxes(*stays))


def test_of_two_equal_pieces_one_is_the_largest() -> None:
    kept = clean.keep_pieces(
        boxes(LARGE, ((20, 30), (20, 30), (20, 30))), least_share=1.0, least_ml=0.0, voxel_ml=0.001
    )
    assert kept.sum() == 1000


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 3, 3), (3, 1, 5), (2, 2, 3)])
def test_pieces_of_a_few_voxels_are_told_apart(shape: tuple[int, int, int]) -> None:
    voxels = np.zeros(shape, dtype=bool)
    voxels[0, 0, 0] = voxels[0, 0, 2] = True
    assert clean.label_pieces(voxels)[1] == 2
    assert clean.keep_pieces(voxels, least_share=1.0, least_ml=0.0, voxel_ml=0.001).sum() == 1


def test_a_mask_that_is_all_too_small_is_empty() -> None:
    assert not clean.keep_pieces(boxes(SMALL), least_share=1.0, least_ml=1.0, voxel_ml=0.001).any()
    assert not clean.keep_pieces(boxes(), least_share=1.0, least_ml=0.0, voxel_ml=0.001).any()


def test_an_enclosed_hole_is_filled_and_an_open_one_is_not() -> None:
    whole = boxes(((0, 20), (0, 20), (0, 20)))
    closed, open_ = whole.copy(), whole.copy()
    closed[5:9, 5:9, 5:9] = False
    open_[5:9, 5:9, 5:] = False
    np.testing.assert_array_equal(clean.fill_enclosed(closed), whole)
    np.testing.assert_array_equal(clean.fill_enclosed(open_), open_)
    at_the_end = whole[:20, :20, :20].copy()
    at_the_end[5:9, 5:9, :9] = False
    np.testing.assert_array_equal(clean.fill_enclosed(at_the_end), at_the_end)


def test_a_tube_is_filled_slice_by_slice_unless_its_ring_is_wide() -> None:
    tube = boxes(((10, 30), (10, 30), (0, 40)))
    tube[14:26, 14:26] = False
    np.testing.assert_array_equal(clean.fill_enclosed(tube), tube)
    np.testing.assert_array_equal(clean.fill_in_slices(tube, largest=144.0), boxes(((10, 30), (10, 30), (0, 40))))
    np.testing.assert_array_equal(clean.fill_in_slices(tube, largest=143.0), tube)


@pytest.mark.parametrize(("side", "kept"), [("left", slice(0, 23)), ("right", slice(18, 40))])
def test_a_mask_that_crosses_the_midline_is_cut_there(side: str, kept: slice) -> None:
    beyond_mm = sides.beyond_midline(np.arange(40) * 1.5, 30.0, side=side)
    voxels = np.ones((40, 3, 3), dtype=bool)
    expected = np.zeros_like(voxels)
    expected[kept] = True
    np.testing.assert_array_equal(clean.keep_side(voxels, beyond_mm, crossing_mm=4.0), expected)


def test_the_midline_comes_from_the_first_group_that_is_seen() -> None:
    assert sides.find_midline({"aorta": 100.0, "postcava": 130.0, "esophagus": 90.0}) == 115.0
    assert sides.find_midline({"aorta": 100.0, "bladder": 120.0}) == 100.0
    assert sides.find_midline({"esophagus": 90.0}) == 90.0
    assert sides.find_midline({"liver": 90.0}) is None


def test_order_facts_are_about_pairs_that_are_found() -> None:
    facts = sides.check_order({"liver": (60.0, 0.0, 0.0), "spleen": (-90.0, -30.0, 10.0), "bladder": (0.0, 0.0, 30.0)})
    assert [(fact.first, fact.relation, fact.second, fact.gap_mm) for fact in facts] == [
        ("liver", "right of", "spleen", 150.0),
        ("liver", "above", "bladder", -30.0),
    ]
    assert [fact.holds for fact in facts] == [True, False]


@pytest.mark.parametrize("row", sides.ORDER, ids=" ".join)
def test_order_rows_are_of_the_table(row: tuple[str, str, str]) -> None:
    assert by_name(row[0]).name != by_name(row[2]).name
    assert row[1] in sides.AXES


@pytest.mark.parametrize("name", clean.CLEANING)
def test_cleaning_rows_fit_their_structure(name: str) -> None:
    rules = clean.cleaning_of(name)
    assert by_name(name).name == name
    assert (rules.crossing_mm is not None) == bool(by_name(name).side)
    assert 0 < rules.least_share <= 1
    assert 0 < rules.least_ml <= 5


def test_every_structure_of_abdomenatlas_has_a_cleaning_row() -> None:
    assert set(ABDOMENATLAS.values()) == set(clean.CLEANING)
    assert clean.cleaning_of("liver_lesion") == clean.LESION
    assert clean.cleaning_of("pancreas_head") == clean.ORGAN


def test_growing_adds_all_that_touches() -> None:
    voxels = boxes(MIDDLE, ((0, 1), (39, 40), (0, 1)))
    np.testing.assert_array_equal(clean.grown(voxels), binary_dilation(voxels, np.ones((3, 3, 3))))


def test_pieces_that_touch_a_host_stay() -> None:
    host = boxes(LARGE)
    kept = find.keep_touching(boxes(((10, 15), (5, 8), (5, 8)), MIDDLE), host)
    np.testing.assert_array_equal(kept, boxes(((10, 15), (5, 8), (5, 8))))
