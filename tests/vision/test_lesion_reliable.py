"""From which size on lesions are found reliably, and whether a lesion's confidence is the chance that it is one."""

from __future__ import annotations

import math

import pytest

from tests.vision.test_lesion_summary import of_rows, predicted, reference, row
from vision.benchmark.lesions import LesionEvaluation, lesion_reliability, reliable_from_mm, summarise_lesions


def sized(*bins: tuple[float, int, int]) -> LesionEvaluation:
    """Lesions of a long axis in mm, so many of them, so many found."""
    lesions = [reference(f"{mm}-{number}", mm, number < found) for mm, count, found in bins for number in range(count)]
    return of_rows([row(one.case, 1, int(one.found), 0) for one in lesions], lesions, [])


@pytest.mark.parametrize(
    ("bins", "size"),
    [
        (((4.0, 5, 5), (7.0, 5, 5), (15.0, 5, 4), (30.0, 5, 5)), 5.0),
        (((7.0, 5, 3), (15.0, 5, 4), (30.0, 5, 5)), 10.0),
        (((7.0, 5, 5), (15.0, 5, 3), (30.0, 5, 5)), 20.0),
        (((7.0, 5, 5), (15.0, 5, 5), (30.0, 5, 3)), None),
        (((7.0, 4, 4), (15.0, 5, 5), (30.0, 2, 0)), 10.0),
        (((30.0, 4, 4),), None),
    ],
)
def test_lesions_are_reliably_found_from_the_smallest_bin_on_below_which_too_many_are_missed(
    bins: tuple[tuple[float, int, int], ...], size: float | None
) -> None:
    (summary,) = summarise_lesions(sized(*bins))
    assert reliable_from_mm(summary) == size


def test_a_confidence_is_judged_by_what_is_a_lesion_and_fragments_stay_out() -> None:
    rows = [predicted("a", 0.9, "hit"), predicted("a", 0.4, "false positive"), predicted("b", 0.7, "fragment")]
    measured = lesion_reliability(of_rows([row("a", 1, 1, 1)], [], [*rows, predicted("b", math.nan, "hit")]))
    assert [(mask.confidence, mask.dice) for mask in measured.masks] == [(0.4, 0.0), (0.9, 1.0)]
    assert measured.unscored == 1
