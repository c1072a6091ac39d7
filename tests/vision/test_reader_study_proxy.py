"""The small classifier that tells painted from real lesions, and what it must not be able to tell."""

from __future__ import annotations

import numpy as np
import pytest

from tests.vision.reader_crops import crop
from vision.errors import UsageError
from vision.synthesis.reader_study import separability_json, separability_table, tell_apart
from vision.synthesis.reader_study.crops import SHAPE
from vision.synthesis.reader_study.features import lesion_features, signed_distance_mm, surrounding_features
from vision.synthesis.reader_study.proxy import fold_of_cases


def crops(engine: str | None, textures: list[float], seed: int) -> list:
    prefix = "r" if engine is None else engine
    return [
        crop(f"{prefix}{number}", engine, texture=texture, seed=seed + number)
        for number, texture in enumerate(textures)
    ]


def test_lesions_of_one_kind_cannot_be_told_apart() -> None:
    (row,) = tell_apart(crops(None, [10] * 10, 0), {"x": crops("x", [10] * 10, 100)}, np.random.default_rng(0))
    assert row.lesion.low < 0.5 < row.lesion.high
    assert (row.painted, row.real, row.painted_cases, row.real_cases) == (10, 10, 10, 10)


def test_lesions_of_another_texture_are_told_apart_and_their_surroundings_are_not() -> None:
    (row,) = tell_apart(crops(None, [10] * 10, 0), {"x": crops("x", [3] * 10, 200)}, np.random.default_rng(0))
    assert row.lesion.value > 0.95
    assert row.lesion.low > 0.8
    assert row.surroundings.low < 0.5 < row.surroundings.high
    assert "x" in str(separability_json([row])[0])
    assert separability_table([row]).row_count == 1


def test_surroundings_say_the_same_whatever_the_lesion_is() -> None:
    plain, coarse = (crop("a", None, texture=texture, seed=4) for texture in (10.0, 40.0))
    assert surrounding_features(plain) == pytest.approx(surrounding_features(coarse))


def test_fewer_than_three_cases_of_a_kind_are_refused() -> None:
    with pytest.raises(UsageError, match="E_TOO_FEW: 3 cases with real lesions and 2"):
        tell_apart(crops(None, [10] * 3, 0), {"x": crops("x", [10] * 2, 9)}, np.random.default_rng(0))


def test_crops_of_one_case_are_never_on_both_sides() -> None:
    truth = np.array([True] * 12 + [False] * 12)
    cases = np.array(
        [f"p{n // 2}" for n in range(10)] + ["both"] * 2 + [f"r{n // 2}" for n in range(10)] + ["both"] * 2
    )
    folds = fold_of_cases(truth, cases, np.random.default_rng(0))
    assert all(len(set(folds[cases == name])) == 1 for name in set(cases))
    for fold in set(folds):
        assert set(truth[folds != fold]) == {True, False}


def test_distance_is_below_zero_inside_and_in_mm() -> None:
    distance = signed_distance_mm(crop("a", None, long_axis_mm=20).lesion)
    assert distance[64, 64, 4] == pytest.approx(-10, abs=0.8)
    assert distance[64 + 20, 64, 4] == pytest.approx(5, abs=0.8)


def test_features_are_finite_even_of_flat_tissue_and_a_tiny_lesion() -> None:
    one = crop("a", None, long_axis_mm=5.0)
    flat = type(one)(None, "a", one.structure, 1, 5.0, np.full(SHAPE, 40, dtype=np.float32), one.lesion)
    for features in (lesion_features(flat), surrounding_features(flat), lesion_features(one)):
        assert np.isfinite(features).all()
    assert lesion_features(flat)[0] == 0.0


def test_contrast_is_that_of_the_lesion_against_what_is_around() -> None:
    assert lesion_features(crop("a", None))[0] == pytest.approx(-40, abs=2)
