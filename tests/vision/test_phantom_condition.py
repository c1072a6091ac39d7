"""Phantoms whose person is wished for."""

from __future__ import annotations

import numpy as np
import pytest

from vision.phantom import REMOVABLE, Condition, Lesion, make_phantom

COARSE = (7.0, 7.0, 9.0)


def test_no_condition_gives_the_same_bytes() -> None:
    plain, same = (make_phantom(seed=3, spacing_mm=COARSE, **more) for more in ({}, {"condition": Condition()}))
    assert np.array_equal(plain.ct.hu, same.ct.hu)


def test_a_condition_changes_what_it_names() -> None:
    wished = Condition(steatosis_hu=40.0, oral_contrast_hu=300.0, noise_hu=5.0, sizes={"spleen": 0.5})
    plain = make_phantom(seed=3, spacing_mm=COARSE, lesions=())
    made = make_phantom(seed=3, spacing_mm=COARSE, lesions=(), condition=wished)
    assert made.truth.noise_hu == 5.0
    assert made.truth.tissue_hu["liver"] == pytest.approx(110.0 - 40.0)
    assert made.truth.tissue_hu["gastric_content"] == 300.0
    assert made.masks["spleen"].voxels.sum() < 0.5 * plain.masks["spleen"].voxels.sum()


@pytest.mark.parametrize("organ", REMOVABLE)
def test_a_missing_organ_leaves_an_empty_mask_and_the_others(organ: str) -> None:
    phantom = make_phantom(seed=5, spacing_mm=COARSE, lesions=(), condition=Condition(missing=frozenset({organ})))
    assert [name for name in REMOVABLE if not phantom.masks[name].voxels.any()] == [organ]


def test_a_lesion_wished_for_in_a_missing_organ_finds_no_place() -> None:
    gone = Condition(missing=frozenset({"kidney_left"}))
    with pytest.raises(ValueError, match="finds no place"):
        make_phantom(seed=5, spacing_mm=COARSE, lesions=(Lesion("kidney_lesion", "left", 20.0),), condition=gone)


def test_what_cannot_be_wished_for_is_refused() -> None:
    with pytest.raises(ValueError, match="can be missing"):
        Condition(missing=frozenset({"liver"}))
    with pytest.raises(ValueError, match=r"factors of 0\.3 to 2"):
        Condition(sizes={"spleen": 4.0})
