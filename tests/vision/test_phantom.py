from __future__ import annotations

import functools
import math

import numpy as np
import pytest
from scipy import ndimage

from vision.phantom import PHASES, Lesion, Phantom, make_phantom

COARSE = (3.0, 3.0, 5.0)
VOLUME_ML = {
    "liver": (1000, 2200),
    "spleen": (70, 350),
    "kidney_left": (90, 300),
    "kidney_right": (90, 300),
    "pancreas": (40, 150),
    "stomach": (150, 900),
    "gall_bladder": (10, 60),
    "aorta": (40, 200),
    "postcava": (50, 200),
    "adrenal_gland_left": (1, 7),
    "adrenal_gland_right": (1, 7),
}
LESIONS = {"pancreas_lesion": ["pancreas"], "liver_lesion": ["liver"], "kidney_lesion": ["kidney_left", "kidney_right"]}


@functools.cache
def phantom_of(seed: int, phase: str = "portal_venous") -> Phantom:
    return make_phantom(seed=seed, spacing_mm=COARSE, phase=phase)


def centre_mm(phantom: Phantom, structure: str) -> np.ndarray:
    mask = phantom.masks[structure]
    return mask.grid.to_mm(np.argwhere(mask.voxels).mean(axis=0))


def test_a_seed_gives_the_same_bytes_twice() -> None:
    first, second = phantom_of(3), make_phantom(seed=3, spacing_mm=COARSE)
    assert first.ct.hu.tobytes() == second.ct.hu.tobytes()
    assert all(np.array_equal(first.masks[name].voxels, second.masks[name].voxels) for name in first.masks)
    assert first.truth == second.truth


def test_two_seeds_are_two_people() -> None:
    assert phantom_of(3).truth.tissue_hu["liver"] != phantom_of(4).truth.tissue_hu["liver"]


@pytest.mark.parametrize("seed", [0, 3, 4])
def test_organs_lie_on_their_side(seed: int) -> None:
    phantom = phantom_of(seed)
    x = {name: centre_mm(phantom, name)[0] for name in phantom.masks}
    assert x["spleen"] < x["aorta"] < x["postcava"] < x["liver"]
    assert x["kidney_left"] < 0 < x["kidney_right"]
    assert x["lung_left"] < 0 < x["lung_right"]
    assert x["adrenal_gland_left"] < 0 < x["adrenal_gland_right"]
    assert x["pancreas_tail"] < x["pancreas_body"] < x["pancreas_head"]
    assert x["stomach"] < 0 < x["gall_bladder"]


@pytest.mark.parametrize("seed", [0, 3, 4])
def test_organs_have_plausible_volumes(seed: int) -> None:
    phantom = phantom_of(seed)
    for name, (low, high) in VOLUME_ML.items():
        mask = phantom.masks[name]
        assert low < mask.count * mask.grid.voxel_ml < high, name


def test_the_demo_tumour_is_25_mm_long_in_the_tail_of_the_pancreas() -> None:
    phantom = make_phantom(seed=0, spacing_mm=(2.0, 2.0, 5.0))
    truth = phantom.truth.lesions[0]
    mask = phantom.masks["pancreas_lesion"]
    assert (truth.organ, truth.part, truth.long_axis_mm, truth.attenuation) == ("pancreas", "tail", 25.0, "hypo")
    points = mask.grid.to_mm(np.argwhere(mask.voxels)) - truth.centre_mm
    angle = math.radians(truth.angle_degrees)
    along = points @ [math.cos(angle), math.sin(angle), 0]
    assert np.ptp(along) == pytest.approx(25.0, abs=2.9)
    assert not (mask.voxels & ~phantom.masks["pancreas_tail"].voxels).any()


@pytest.mark.parametrize("long_axis_mm", [3.0, 12.0])
def test_a_lesion_is_solid_at_its_centre(long_axis_mm: float) -> None:
    wanted = Lesion("liver_lesion", "right", long_axis_mm)
    phantom = make_phantom(seed=0, spacing_mm=(4.0, 4.0, 5.0), lesions=(wanted,))
    mask = phantom.masks["liver_lesion"]
    centre = np.round(mask.grid.to_ijk(np.array(phantom.truth.lesions[0].centre_mm))).astype(int)
    assert mask.voxels[tuple(centre)]


def test_lesions_of_a_seed_are_skipped_where_the_box_misses_them() -> None:
    asked = [make_phantom(seed=seed, spacing_mm=(8.0, 8.0, 8.0), shape=(4, 4, 4)).truth.lesions for seed in range(6)]
    assert asked[1:] == [()] * 5


def test_a_lesion_has_the_volume_of_its_ellipsoid() -> None:
    phantom = make_phantom(seed=0, spacing_mm=(2.5, 2.5, 2.5))
    mask = phantom.masks["pancreas_lesion"]
    assert mask.count * mask.grid.voxel_ml == pytest.approx(phantom.truth.lesions[0].volume_ml, rel=0.05)
    assert phantom.truth.lesions[0].volume_ml == pytest.approx(math.pi / 6 * 25 * 20 * 22.5 / 1000)


@pytest.mark.parametrize("seed", [0, 2, 5])
def test_masks_are_disjoint_but_for_parts_and_lesions(seed: int) -> None:
    phantom = phantom_of(seed)
    organs = [name for name in phantom.masks if name not in LESIONS and not name.startswith("pancreas_")]
    assert np.sum([phantom.masks[name].voxels for name in organs], axis=0).max() == 1
    parts = [phantom.masks[f"pancreas_{part}"].voxels for part in ("head", "body", "tail")]
    assert np.array_equal(np.sum(parts, axis=0), phantom.masks["pancreas"].voxels.astype(int))
    for lesion in set(LESIONS) & set(phantom.masks):
        hosts = np.any([phantom.masks[name].voxels for name in LESIONS[lesion]], axis=0)
        assert not (phantom.masks[lesion].voxels & ~hosts).any()


@pytest.mark.parametrize("phase", PHASES)
def test_organs_have_the_hu_they_were_drawn_with(phase: str) -> None:
    phantom = phantom_of(0, phase)
    for organ, tissue in (("liver", "liver"), ("spleen", "spleen"), ("aorta", "artery")):
        inside = phantom.ct.hu[ndimage.binary_erosion(phantom.masks[organ].voxels)]
        assert np.median(inside) == pytest.approx(phantom.truth.tissue_hu[tissue], abs=9), organ


def test_the_demo_tumour_is_darker_than_the_pancreas_around_it() -> None:
    phantom = phantom_of(0)
    lesion = phantom.masks["pancreas_lesion"].voxels
    rest = phantom.masks["pancreas"].voxels & ~lesion
    assert phantom.ct.hu[lesion].mean() < phantom.ct.hu[rest].mean() - 15


def test_lesions_can_be_asked_for() -> None:
    wanted = (Lesion("liver_lesion", "right", 30.0), Lesion("kidney_lesion", "left", 20.0, attenuation="hyper"))
    phantom = make_phantom(seed=1, spacing_mm=COARSE, lesions=wanted)
    assert [(t.organ, t.long_axis_mm) for t in phantom.truth.lesions] == [("liver", 30.0), ("kidney_left", 20.0)]
    assert phantom.truth.lesions[1].mean_hu > phantom.truth.lesions[1].organ_hu
    assert "pancreas_lesion" not in phantom.masks


def test_a_phantom_can_be_free_of_lesions() -> None:
    phantom = make_phantom(seed=0, spacing_mm=COARSE, lesions=())
    assert phantom.truth.lesions == ()
    assert not set(LESIONS) & set(phantom.masks)


def test_a_scan_that_misses_an_organ_has_an_empty_mask_for_it() -> None:
    phantom = make_phantom(seed=0, spacing_mm=(5.0, 5.0, 5.0), shape=(75, 58, 10), lesions=())
    assert phantom.ct.hu.shape == (75, 58, 10)
    assert not phantom.masks["lung_right"]


def test_an_unknown_phase_is_refused() -> None:
    with pytest.raises(ValueError, match="phase is one of"):
        make_phantom(phase="nephrographic")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"structure": "lung_lesion"}, "a lesion is one of"),
        ({"part": "tail"}, "lies in right or left"),
        ({"long_axis_mm": 1.0}, "2 to 100 mm"),
        ({"short_ratio": 1.2}, "axis ratios"),
        ({"attenuation": "iso"}, "hypo or hyper"),
    ],
)
def test_a_lesion_that_cannot_be_made_is_refused(changes: dict, message: str) -> None:
    values = {"structure": "liver_lesion", "part": "right", "long_axis_mm": 20.0}
    with pytest.raises(ValueError, match=message):
        Lesion(**(values | changes))


def test_lesions_that_touch_are_refused() -> None:
    wanted = (Lesion("pancreas_lesion", "body", 60.0), Lesion("pancreas_lesion", "tail", 60.0))
    with pytest.raises(ValueError, match="two lesions touch"):
        make_phantom(seed=0, spacing_mm=COARSE, lesions=wanted)


@pytest.mark.parametrize(
    ("lesion", "message"),
    [
        (Lesion("liver_lesion", "right", 10.0), "finds no place"),
        (Lesion("pancreas_lesion", "tail", 10.0), "outside the scanned box"),
    ],
)
def test_a_lesion_outside_the_scanned_box_is_refused(lesion: Lesion, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_phantom(seed=0, spacing_mm=(6.0, 6.0, 6.0), shape=(6, 6, 6), lesions=(lesion,))
