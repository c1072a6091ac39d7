"""CT from anatomy: label maps become whole bodies, bodies become CTs whose every voxel is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from vision.phantom import make_phantom
from vision.structures import ABDOMENATLAS
from vision.synthesis.anatomy import (
    PHASES,
    Anatomy,
    Tissue,
    belongs_to,
    complete_anatomy,
    hu_ranges,
    label_members,
    synthesise_ct,
)
from vision.synthesis.anatomy.attenuation import RANGE_OF, draw_attenuation
from vision.synthesis.anatomy.complete import known_structures
from vision.synthesis.anatomy.contents import Meal
from vision.synthesis.anatomy.regrid import to_isotropic
from vision.synthesis.anatomy.scanner import Protocol, limit_field, scan, slice_matrices, stored
from vision.synthesis.anatomy.synthesise import noise_free_hu

SPACING_MM = (3.0, 3.0, 4.0)
PARTS = {"pancreas_head": "pancreas", "pancreas_body": "pancreas", "pancreas_tail": "pancreas"}
SOFT = Protocol("soft", 1.2, 1.5, 14.0, 0.6, 0.0, 1.5, 0.0, has_metal=False, is_clipped=False)
CROSS = ndimage.generate_binary_structure(2, 1)[:, :, None]
CALM = Meal(0.0, 0.0, stomach_gas=0.4, colon_gas=0.0, bowel_gas=-2.0, food=0.5)


@pytest.fixture(scope="module")
def label_map() -> np.ndarray:
    """A slab of a phantom as a label map of organs only, (124, 96, 20) uint8 in RAS order."""
    phantom = make_phantom(seed=0, spacing_mm=SPACING_MM, shape=(124, 96, 20), lesions=())
    labels = np.zeros(phantom.ct.grid.shape, dtype=np.uint8)
    code_of = {name: code for code, name in ABDOMENATLAS.items()}
    for name, mask in phantom.masks.items():
        labels[mask.voxels] = code_of[PARTS.get(name, name)]
    return labels


@pytest.fixture(scope="module")
def structures(label_map: np.ndarray) -> frozenset[str]:
    return frozenset(ABDOMENATLAS[int(code)] for code in np.unique(label_map) if code)


@pytest.fixture(scope="module")
def anatomy(label_map: np.ndarray, structures: frozenset[str]) -> Anatomy:
    return complete_anatomy(label_map, SPACING_MM, structures)


@pytest.fixture(scope="module")
def slab(anatomy: Anatomy) -> Anatomy:
    """A few slices of the anatomy, to draw fast."""
    middle = anatomy.tissues.shape[2] // 2
    return Anatomy(np.ascontiguousarray(anatomy.tissues[:, :, middle - 8 : middle + 8]), anatomy.annotated)


def test_every_voxel_of_the_body_has_a_tissue(anatomy: Anatomy) -> None:
    for k in range(0, anatomy.tissues.shape[2], 5):
        body = anatomy.tissues[:, :, k] > 0
        assert (ndimage.binary_fill_holes(body) == body).all()
        assert ndimage.label(body)[1] == 1


def test_organs_keep_their_volume_through_completion(anatomy: Anatomy, label_map: np.ndarray) -> None:
    for name in ("liver", "kidney_right", "spleen", "aorta"):
        code = next(code for code, known in ABDOMENATLAS.items() if known == name)
        before = (label_map == code).sum() * np.prod(SPACING_MM)
        after = belongs_to(anatomy.tissues, name).sum() * 1.5**3
        assert after == pytest.approx(before, rel=0.06), name


def test_a_map_of_organs_gets_spine_ribs_muscle_fat_and_skin(anatomy: Anatomy) -> None:
    ml = np.bincount(anatomy.tissues.ravel(), minlength=256) * 1.5**3 / 1000
    for tissue in (Tissue.BONE_SPONGIOSA, Tissue.SPINAL_CORD, Tissue.MUSCLE, Tissue.SUBCUTANEOUS_FAT, Tissue.SKIN):
        assert ml[tissue] > 5, tissue.name
    spine = np.argwhere(anatomy.tissues == Tissue.SPINAL_CORD)[:, 1].mean()
    assert spine < np.argwhere(anatomy.tissues == Tissue.AORTA)[:, 1].mean()


def test_the_skin_lies_around_everything(anatomy: Anatomy) -> None:
    air_beside = ndimage.binary_dilation(anatomy.tissues == Tissue.AIR, structure=CROSS)
    outermost = anatomy.tissues[air_beside & (anatomy.tissues > 0)]
    assert (outermost == Tissue.SKIN).mean() > 0.99


def test_the_same_labels_give_the_same_anatomy() -> None:
    labels = np.zeros((40, 40, 12), dtype=np.uint8)
    labels[10:30, 8:30, 2:10] = Tissue.LIVER
    first, second = (complete_anatomy(labels, (3.0, 3.0, 3.0), frozenset({"liver"})) for _ in range(2))
    assert (first.tissues == second.tissues).all()


def test_a_map_without_labels_cannot_be_completed() -> None:
    with pytest.raises(ValueError, match="at least one label"):
        complete_anatomy(np.zeros((4, 4, 4), dtype=np.uint8), (2.0, 2.0, 2.0), frozenset())


def test_thick_slices_are_joined_without_steps_and_keep_a_sphere_round() -> None:
    z = (np.arange(21) - 10) * 5.0
    x = (np.arange(64) - 31.5) * 1.0
    ball = x[:, None, None] ** 2 + x[None, :, None] ** 2 + z[None, None] ** 2 < 25.0**2
    joined = to_isotropic(ball.astype(np.uint8), (1.0, 1.0, 5.0)) == 1
    assert joined.sum() * 1.5**3 == pytest.approx(4 / 3 * np.pi * 25.0**3, rel=0.06)
    areas = joined.sum((0, 1)).astype(float)
    assert len(np.unique(areas)) > 9, "nine slices that are only repeated have five areas"


def test_members_name_every_structure_and_share_only_what_lies_in_the_liver() -> None:
    members = label_members()
    assert set(members) == set(ABDOMENATLAS.values())
    codes = [code for name, parts in members.items() if name != "hepatic_vessel" for code in parts]
    assert len(codes) == len(set(codes))
    assert set(members["hepatic_vessel"]) < set(members["liver"])


def test_what_is_merged_missing_or_a_remnant_is_not_annotated() -> None:
    tissues = np.zeros((80, 80, 80), dtype=np.uint8)
    tissues[:40] = Tissue.STOMACH_AND_DUODENUM
    tissues[40:60] = Tissue.COLON
    tissues[60:62, :40] = Tissue.KIDNEY_LEFT
    tissues[62:] = Tissue.LIVER
    claimed = frozenset({"stomach", "duodenum", "colon", "kidney_left", "liver", "spleen"})
    assert known_structures(tissues, claimed) == {"colon", "liver"}
    tissues[:2] = Tissue.COLON_AND_SMALL_BOWEL
    assert known_structures(tissues, claimed) == {"liver"}


def test_a_small_bowel_that_holds_the_duodenum_is_not_annotated() -> None:
    tissues = np.full((50, 50, 50), Tissue.INTESTINE, dtype=np.uint8)
    assert known_structures(tissues, frozenset({"intestine"})) == frozenset()


def test_a_woman_is_known_to_have_no_prostate() -> None:
    tissues = np.full((50, 50, 50), Tissue.UTERUS, dtype=np.uint8)
    assert known_structures(tissues, frozenset()) == {"prostate"}


def test_a_rectum_within_the_colon_is_cut_off_and_unknown() -> None:
    labels = np.zeros((48, 24, 34), dtype=np.uint8)
    labels[36:44, 10:18, :10], labels[4:12, 10:18, :10] = Tissue.FEMUR_RIGHT, Tissue.FEMUR_LEFT
    labels[20:28, 4:12] = Tissue.COLON
    labels[8:40, 2:12, 24:] = Tissue.COLON
    labels[10:40, 12:24, 20:] = Tissue.LIVER
    done = complete_anatomy(labels, (4.0, 4.0, 4.0), frozenset({"colon", "liver", "femur_left", "femur_right"}))
    assert "rectum" not in done.annotated
    assert "colon" in done.annotated
    colon, rectum = (np.flatnonzero(belongs_to(done.tissues, name).any((0, 1))) for name in ("colon", "rectum"))
    assert rectum.max() < colon.min()


def test_a_few_voxels_of_femur_do_not_move_the_pelvis() -> None:
    labels = np.zeros((40, 24, 20), dtype=np.uint8)
    labels[8:32, 4:12] = Tissue.COLON
    labels[8:32, 14:22] = Tissue.LIVER
    labels[2:4, 2:4, 17:19] = Tissue.FEMUR_LEFT
    done = complete_anatomy(labels, (5.0, 5.0, 5.0), frozenset({"colon", "liver", "femur_left"}))
    assert done.annotated == {"colon", "liver"}
    assert not belongs_to(done.tissues, "rectum").any()


@pytest.mark.parametrize("tissue", list(RANGE_OF), ids=lambda tissue: tissue.name)
def test_tissue_draws_from_a_row_of_the_table(tissue: Tissue) -> None:
    phases = hu_ranges()[RANGE_OF[tissue]]
    assert set(phases) == set(PHASES)
    assert all(-1024 <= low <= high <= 3000 for low, high in phases.values())


def test_every_tissue_but_air_has_a_range() -> None:
    assert set(RANGE_OF) == set(Tissue) - {Tissue.AIR}


@pytest.mark.parametrize("phase", PHASES)
def test_drawn_means_lie_within_the_table(phase: str) -> None:
    for seed in range(40):
        drawn = draw_attenuation(np.random.default_rng(seed), phase)
        if drawn.contrast_scale != 1.0:
            continue
        for name, mean in drawn.means.items():
            low, high = hu_ranges()[name][phase]
            assert low <= mean + (drawn.steatosis_hu if name == "liver" else 0.0) <= high


def test_an_unknown_phase_is_refused() -> None:
    with pytest.raises(ValueError, match="phase is one of"):
        draw_attenuation(np.random.default_rng(0), "equilibrium")


def test_the_same_state_draws_the_same_bytes(slab: Anatomy) -> None:
    first, second = (synthesise_ct(slab, rng=np.random.default_rng(3)) for _ in range(2))
    assert first.hu.tobytes() == second.hu.tobytes()
    assert dict(first.facts) == dict(second.facts)
    other = synthesise_ct(slab, rng=np.random.default_rng(4))
    assert other.hu.tobytes() != first.hu.tobytes()


@pytest.mark.parametrize("phase", PHASES)
def test_organs_show_the_hu_of_their_phase(slab: Anatomy, phase: str) -> None:
    rng = np.random.default_rng(1)
    attenuation = draw_attenuation(rng, phase)
    hu = noise_free_hu(slab.tissues, attenuation, CALM, rng)
    for tissue in (Tissue.LIVER, Tissue.AORTA, Tissue.MUSCLE, Tissue.SUBCUTANEOUS_FAT):
        assert np.median(hu[slab.tissues == tissue]) == pytest.approx(attenuation.mean_hu[tissue], abs=8), tissue.name


def test_cortex_is_brighter_than_medulla_in_the_arterial_phase(slab: Anatomy) -> None:
    ct = synthesise_ct(slab, rng=np.random.default_rng(2), phase="late_arterial")
    cortex = np.median(ct.hu[ct.tissues == Tissue.KIDNEY_RIGHT])
    assert cortex > np.median(ct.hu[ct.tissues == Tissue.KIDNEY_RIGHT_MEDULLA]) + 25


def test_gas_lies_before_fluid_in_the_stomach() -> None:
    tissues = np.full((40, 40, 24), Tissue.STOMACH_CONTENT, dtype=np.uint8)
    rng = np.random.default_rng(0)
    hu = noise_free_hu(tissues, draw_attenuation(rng, "portal_venous"), CALM, rng)
    gas = hu < -500
    assert gas.mean() == pytest.approx(CALM.stomach_gas, abs=0.05)
    assert np.argwhere(gas)[:, 1].min() >= np.argwhere(hu > -150)[:, 1].max() - 1


def test_gas_lies_before_stool_in_the_colon(anatomy: Anatomy) -> None:
    rng = np.random.default_rng(0)
    hu = noise_free_hu(anatomy.tissues, draw_attenuation(rng, "portal_venous"), CALM, rng)
    lumen = anatomy.tissues == Tissue.COLON_CONTENT
    assert np.argwhere(lumen & (hu < -700))[:, 1].mean() > np.argwhere(lumen & (hu > -100))[:, 1].mean() + 2


def test_two_scans_of_one_body_differ_by_the_noise_of_their_protocol(slab: Anatomy) -> None:
    rng = np.random.default_rng(0)
    hu = noise_free_hu(slab.tissues, draw_attenuation(rng, "portal_venous"), CALM, rng)
    first, second = (scan(hu.copy(), slab.tissues, SOFT, np.random.default_rng(seed)) for seed in (1, 2))
    liver = slab.tissues == Tissue.LIVER
    noise = (first - second)[liver].std() / np.sqrt(2)
    assert 0.5 * SOFT.noise_hu < noise < 1.1 * SOFT.noise_hu
    inner = ndimage.binary_erosion(liver, iterations=3)
    assert abs((first - hu)[inner].mean()) < 1.0


def test_noise_is_correlated_in_the_slice_and_not_across(slab: Anatomy) -> None:
    noise = scan(np.zeros(slab.tissues.shape, np.float32), slab.tissues, SOFT, np.random.default_rng(0))
    inside = noise[60:180, 60:140]
    along = np.corrcoef(inside[1:].ravel(), inside[:-1].ravel())[0, 1]
    across = np.corrcoef(inside[:, :, 1:].ravel(), inside[:, :, :-1].ravel())[0, 1]
    assert along > 0.25
    assert abs(across) < 0.1


def test_thick_slices_average_and_keep_the_mean() -> None:
    gather, spread = slice_matrices(60, 5.0)
    assert gather is not None
    assert spread is not None
    np.testing.assert_allclose(gather.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(spread.sum(1), 1, rtol=1e-5)
    edge = spread @ (gather @ np.where(np.arange(60) < 30, 0.0, 1.0))
    assert ((edge > 0.05) & (edge < 0.95)).sum() >= 2
    assert slice_matrices(60, 1.0) == (None, None)


def test_outside_the_field_of_view_is_neither_tissue_nor_body(slab: Anatomy) -> None:
    hu = np.zeros(slab.tissues.shape, np.float32)
    seen = limit_field(hu, slab.tissues, 0.7, np.random.default_rng(0))
    blank = hu == -1000
    assert 0.1 < blank.mean() < 0.9
    assert (seen[blank] == Tissue.AIR).all()
    assert (seen[~blank] == slab.tissues[~blank]).all()


def test_a_clipped_ct_holds_256_steps_of_the_window() -> None:
    clipped = Protocol("soft", 1.2, 1.5, 14.0, 0.6, 0.0, 1.5, 0.0, has_metal=False, is_clipped=True)
    hu = stored(np.linspace(-1000, 2000, 30000, dtype=np.float32).reshape(30, 100, 10), clipped)
    assert hu.dtype == np.int16
    assert (hu.min(), hu.max()) == (-125, 275)
    assert len(np.unique(hu)) == 256
    assert stored(np.full((2, 2, 2), 9000, np.float32), SOFT).max() == 3071
