"""Attenuation of balls against a block of organ, both of known HU."""

from __future__ import annotations

import numpy as np
import pytest

from vision.geometry import CTVolume, Grid, Mask
from vision.measure import against_organ, lesion_core, lowest_smoothed_hu, organ_tissue

GRID = Grid.from_spacing((40, 40, 30), (1.5, 1.5, 2.0))
X, Y, Z = (np.arange(n)[shape] for n, shape in ((40, np.s_[:, None, None]), (40, np.s_[:, None]), (30, np.s_[:])))
ORGAN = Mask((abs(X - 20) < 16) & (abs(Y - 20) < 16) & (abs(Z - 15) < 12), GRID, "liver")


def ball(centre: tuple[int, int, int], radius_mm: float) -> Mask:
    i, j, k = centre
    mm = np.sqrt((1.5 * (X - i)) ** 2 + (1.5 * (Y - j)) ** 2 + (2.0 * (Z - k)) ** 2)
    return Mask(mm <= radius_mm, GRID, "liver_lesion")


def ct_of(*painted: tuple[Mask, float], noise: float = 0.0) -> CTVolume:
    """Fat of -100 HU, an organ of 100 HU, and what is painted into it."""
    hu = np.full(GRID.shape, -100.0)
    for mask, value in ((ORGAN, 100.0), *painted):
        hu[mask.voxels] = value
    hu += np.random.default_rng(0).normal(0, noise, GRID.shape)
    return CTVolume(hu.astype(np.float32), GRID)


@pytest.mark.parametrize(
    ("lesion_hu", "word"), [(60, "hypo"), (89, "hypo"), (91, "iso"), (109, "iso"), (111, "hyper"), (150, "hyper")]
)
def test_a_lesion_is_darker_or_brighter_by_more_than_ten_hu(lesion_hu: float, word: str) -> None:
    lesion = ball((20, 20, 15), 9)
    ct = ct_of((lesion, lesion_hu))
    tissue = organ_tissue(ct, ORGAN, [lesion])
    assert tissue is not None
    found = against_organ(ct, lesion, tissue)
    assert found is not None
    assert (found.word, found.lesion_hu, found.organ_hu) == (word, lesion_hu, 100)


def test_an_organ_is_measured_outside_all_its_lesions_and_their_rims() -> None:
    first, second = ball((20, 20, 15), 14), ball((10, 10, 10), 6)
    ct = ct_of((ball((20, 20, 15), 16), -50.0), (second, 300.0))
    tissue = organ_tissue(ct, ORGAN, [first, second])
    assert tissue is not None
    assert (tissue[0].mean, tissue[0].sd, tissue[1]) == (100, 0, 3.0)


def test_fat_beside_an_organ_is_not_measured() -> None:
    ct = ct_of()
    blurred = Mask(ORGAN.voxels | np.roll(ORGAN.voxels, 1, axis=0), GRID, "liver")
    tissue = organ_tissue(ct, blurred, [])
    assert tissue is not None
    assert tissue[0].p5 == 100


def test_a_thin_organ_is_measured_nearer_to_its_border() -> None:
    thin = Mask(ORGAN.voxels & (abs(X - 20) < 2), GRID, "pancreas")
    tissue = organ_tissue(ct_of(), thin, [])
    assert tissue is not None
    assert tissue[1] == 1.5


def test_too_little_tissue_measures_nothing() -> None:
    ct = ct_of()
    assert organ_tissue(ct, ORGAN, [ORGAN]) is None
    assert organ_tissue(ct, Mask(np.zeros(GRID.shape, dtype=bool), GRID, "liver"), []) is None


def test_an_empty_lesion_has_no_attenuation() -> None:
    ct, empty = ct_of(), Mask(np.zeros(GRID.shape, dtype=bool), GRID, "liver_lesion")
    tissue = organ_tissue(ct, ORGAN, [])
    assert tissue is not None
    assert against_organ(ct, empty, tissue) is None
    assert lowest_smoothed_hu(ct, empty) is None


def test_the_core_leaves_the_rim_out_and_a_small_lesion_has_none() -> None:
    ct = ct_of((ball((20, 20, 15), 9), 60.0), (ball((20, 20, 15), 7), 20.0))
    core, small = lesion_core(ct, ball((20, 20, 15), 9)), lesion_core(ct, ball((20, 20, 15), 2))
    assert core is not None
    assert small is not None
    assert core[0].mean == pytest.approx(20, abs=8)
    assert "all voxels" in small[1]


def test_noise_is_not_taken_for_fat_and_fat_is_found() -> None:
    water, with_fat = ball((20, 20, 15), 12), ball((20, 20, 15), 7)
    noisy = lowest_smoothed_hu(ct_of((water, 5.0), noise=18), water)
    fatty = lowest_smoothed_hu(ct_of((water, 40.0), (with_fat, -90.0), noise=18), water)
    assert noisy is not None
    assert fatty is not None
    assert noisy > -10
    assert fatty < -40


def test_fat_around_a_lesion_is_not_in_it() -> None:
    lesion = ball((20, 20, 15), 5)
    hu = np.full(GRID.shape, -100.0)
    hu[lesion.voxels] = 40
    assert lowest_smoothed_hu(CTVolume(hu.astype(np.float32), GRID), lesion) == pytest.approx(40)


def test_masks_of_another_grid_are_refused() -> None:
    other = Mask(np.zeros((4, 4, 4), dtype=bool), Grid.from_spacing((4, 4, 4), (1.0, 1.0, 1.0)), "liver_lesion")
    with pytest.raises(ValueError, match="not on"):
        organ_tissue(ct_of(), ORGAN, [other])
