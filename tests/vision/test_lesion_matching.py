"""Lesions told apart, and matched by the stated rule."""

from __future__ import annotations

import numpy as np
import pytest

from tests.vision.lesion_cases import GRID, LIVER, box, lesion, union
from vision.benchmark.lesions import connected_lesions, match_lesions, numbered_lesions
from vision.benchmark.lesions.lesion import common_voxels
from vision.geometry import Grid, Mask
from vision.phantom import Lesion as WantedLesion
from vision.phantom import make_phantom


def test_parts_that_touch_at_a_corner_are_one_lesion_and_others_are_told_apart() -> None:
    voxels = union([box((4, 4, 4), (4, 4, 4)), box((8, 8, 8), (2, 2, 2)), box((30, 20, 10), (3, 3, 3))])
    found = connected_lesions(Mask(voxels, GRID, LIVER))
    assert [each.count for each in found] == [64 + 8, 27]
    assert found[1].box.start == (30, 20, 10)
    assert np.array_equal(union([each.mask().voxels for each in found]), voxels)


def test_touching_lesions_are_told_apart_by_their_numbers_even_in_pieces() -> None:
    labels = np.zeros(GRID.shape, dtype=np.uint8)
    labels[4:8, 4:8, 4:8] = 7
    labels[8:12, 4:8, 4:8] = 3
    labels[30:32, 30:32, 10:12] = 3
    found = numbered_lesions(labels, GRID, LIVER)
    assert [each.count for each in found] == [64 + 8, 64]
    assert found[0].box.stop == (32, 32, 12)


def test_a_mask_of_one_number_is_taken_apart_by_its_parts() -> None:
    labels = 255 * union([box((4, 4, 4), (4, 4, 4)), box((20, 4, 4), (2, 2, 2))]).astype(np.uint8)
    assert [each.count for each in numbered_lesions(labels, GRID, LIVER)] == [64, 8]


def test_an_empty_mask_holds_no_lesion() -> None:
    assert connected_lesions(Mask(np.zeros(GRID.shape, dtype=bool), GRID, LIVER)) == []


@pytest.mark.parametrize("spacing_mm", [(2.0, 2.0, 2.5), (1.0, 1.5, 4.0)])
def test_long_axis_of_a_phantom_lesion_is_the_one_asked_for(spacing_mm: tuple[float, float, float]) -> None:
    wanted = WantedLesion("liver_lesion", "right", 24.0)
    shape = tuple(round(200 / step) for step in spacing_mm)
    phantom = make_phantom(spacing_mm=spacing_mm, shape=(shape[0], shape[1], shape[2]), lesions=(wanted,))
    (found,) = connected_lesions(phantom.masks["liver_lesion"])
    assert found.long_axis_mm == pytest.approx(24.0, abs=1.5)
    assert found.volume_ml == pytest.approx(phantom.truth.lesions[0].volume_ml, rel=0.06)


def test_common_voxels_are_those_of_the_whole_masks() -> None:
    first, second = lesion((4, 4, 4), (6, 6, 6)), lesion((7, 2, 8), (9, 5, 9))
    assert common_voxels(first, second) == np.count_nonzero(first.mask().voxels & second.mask().voxels)
    assert common_voxels(first, lesion((30, 4, 4), (2, 2, 2))) == 0


def test_an_overlap_of_a_tenth_is_a_hit_and_less_is_a_false_positive() -> None:
    reference = lesion((4, 4, 4), (10, 10, 10))
    enough, too_little = lesion((4, 4, 4), (10, 10, 1)), lesion((4, 4, 4), (9, 11, 1))
    assert match_lesions([reference], [enough]).verdicts == ("hit",)
    missed = match_lesions([reference], [too_little])
    assert (missed.verdicts, missed.found_by) == (("false positive",), (None,))


def test_the_threshold_of_overlap_is_the_callers() -> None:
    reference, half = lesion((4, 4, 4), (10, 10, 10)), lesion((4, 4, 4), (10, 10, 5))
    assert match_lesions([reference], [half], min_iou=0.5).verdicts == ("hit",)
    assert match_lesions([reference], [half], min_iou=0.51).verdicts == ("false positive",)


@pytest.mark.parametrize("min_iou", [0.0, -0.1, 1.1])
def test_an_overlap_that_cannot_be_asked_for_is_refused(min_iou: float) -> None:
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        match_lesions([], [], min_iou=min_iou)


def test_of_two_pieces_of_one_lesion_the_surer_is_the_hit_and_the_other_a_fragment() -> None:
    reference = lesion((4, 4, 4), (10, 10, 10))
    larger, surer = lesion((4, 4, 4), (10, 10, 6), 0.4), lesion((4, 4, 11), (10, 10, 3), 0.9)
    matching = match_lesions([reference], [larger, surer])
    assert matching.verdicts == ("fragment", "hit")
    assert matching.found_by == (1,)
    assert (matching.reference_of(0), matching.reference_of(1)) == (None, 0)


def test_of_two_equally_sure_pieces_the_larger_overlap_is_the_hit() -> None:
    reference = lesion((4, 4, 4), (10, 10, 10))
    assert match_lesions(
        [reference], [lesion((4, 4, 11), (10, 10, 3)), lesion((4, 4, 4), (10, 10, 6), 1.0)]
    ).verdicts == ("fragment", "hit")


def test_one_prediction_over_two_lesions_finds_one_and_the_other_is_merged() -> None:
    small, large = lesion((4, 4, 4), (6, 6, 6)), lesion((12, 4, 4), (10, 10, 10))
    matching = match_lesions([small, large], [lesion((4, 4, 4), (18, 10, 10), 0.8)])
    assert (matching.found_by, matching.merged) == ((None, 0), (True, False))


def test_a_mask_over_everything_finds_nothing() -> None:
    references = [lesion((8 * n + 2, 4, 4), (3, 3, 3)) for n in range(5)]
    matching = match_lesions(references, [lesion((1, 1, 1), (46, 38, 22))])
    assert matching.found_by == (None,) * 5
    assert matching.verdicts == ("false positive",)


def test_leaving_out_unsure_predictions_changes_no_other_pair() -> None:
    rng = np.random.default_rng(3)
    references = [lesion((6 * n, 4, 4), (6, 8, 8)) for n in range(1, 6)]
    predictions = [
        lesion((int(a), int(b), 4), (9, 8, 8), float(rng.random()))
        for a, b in zip(rng.integers(1, 36, 12), rng.integers(1, 10, 12), strict=True)
    ]
    whole = match_lesions(references, predictions)
    for threshold in (0.2, 0.5, 0.8):
        kept = [number for number, each in enumerate(predictions) if (each.confidence or 0) >= threshold]
        partly = match_lesions(references, [predictions[number] for number in kept])
        pairs = {(reference, by) for reference, by in enumerate(whole.found_by) if by in kept}
        assert {(r, kept[by]) for r, by in enumerate(partly.found_by) if by is not None} == pairs
        assert partly.verdicts == tuple(whole.verdicts[number] for number in kept)


def test_lesions_on_a_flipped_grid_measure_the_same() -> None:
    affine = GRID.affine.copy()
    affine[:3, 0] *= -1
    flipped = Grid(GRID.shape, affine)
    voxels = box((4, 4, 4), (9, 5, 5))
    (straight,), (turned,) = (connected_lesions(Mask(voxels, grid, LIVER)) for grid in (GRID, flipped))
    assert straight.long_axis_mm == pytest.approx(turned.long_axis_mm)
