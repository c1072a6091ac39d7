"""Training: lesions belong to their own organ, and tumours are painted only where lesions are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.vision.training_parts import GRID, SMALL, box_mask
from vision.geometry import CTVolume
from vision.synthesis.anatomy import Anatomy
from vision.synthesis.anatomy.tissues import Tissue
from vision.synthesis.tumours.engines import make_engine
from vision.training.cases import TrainingCase, prepare_case, read_case, save_case
from vision.training.lesions import LesionConfig, paint_lesions, painted_organs
from vision.training.overlay import lay_lesion
from vision.training.patches import draw_patch
from vision.training.scanner import Scanner
from vision.training.supply import PatchSupply, Source, SupplyConfig, known_in, painted_cases

NAMES = ("kidney_left", "kidney_right", "liver", "liver_lesion", "liver_cyst", "kidney_lesion", "kidney_cyst")
LEFT, RIGHT, LIVER, LIVER_LESION, LIVER_CYST, KIDNEY_LESION, KIDNEY_CYST = range(7)
ORGANS = {
    "liver": box_mask("liver", (2, 2, 2), (22, 40, 36)),
    "kidney_right": box_mask("kidney_right", (24, 4, 4), (34, 20, 30)),
    "kidney_left": box_mask("kidney_left", (36, 4, 4), (46, 20, 30)),
}
ENGINES = (make_engine("handcrafted"),)
MANY = LesionConfig(tumours=(2, 2), cysts=(1, 1), confusers=(1, 1))


def case_of(*annotated: str, **lesions: tuple[tuple[int, int, int], tuple[int, int, int]]) -> TrainingCase:
    hu = np.full(GRID.shape, -100, dtype=np.int16)
    for mask in ORGANS.values():
        hu[mask.voxels] = 110
    masks = {**ORGANS, **{name: box_mask(name, *ends) for name, ends in lesions.items()}}
    known = frozenset(annotated or NAMES)
    return prepare_case(CTVolume(hu, GRID), masks, annotated=known, structures=NAMES, spacing_mm=1.5)


def noisy(case: TrainingCase) -> TrainingCase:
    noise = np.random.default_rng(0).normal(0, 10, case.hu.shape).astype(np.int16)
    return replace(case, hu=case.hu + noise)


def paint(case: TrainingCase, seed: int = 0, config: LesionConfig = MANY) -> TrainingCase:
    rng = np.random.default_rng(seed)
    return paint_lesions(case, structures=NAMES, engines=ENGINES, spacing_mm=1.5, rng=rng, config=config)


def test_a_lesion_of_one_kidney_is_no_part_of_the_other() -> None:
    case = case_of(kidney_lesion=((38, 8, 8), (42, 12, 12)))
    lesion = case.voxels_of(KIDNEY_LESION)
    assert int(lesion.sum()) == 64
    assert bool(case.voxels_of(LEFT)[lesion].all())
    assert not case.voxels_of(RIGHT)[lesion].any()
    np.testing.assert_array_equal(case.voxels_of(RIGHT), ORGANS["kidney_right"].voxels)


def test_what_grows_out_of_an_organ_joins_it() -> None:
    case = case_of(kidney_lesion=((42, 8, 8), (48, 12, 12)))
    grown = case.voxels_of(LEFT) & ~ORGANS["kidney_left"].voxels
    assert int(grown.sum()) == 2 * 16


def test_a_piece_that_touches_no_organ_is_the_lesion_alone() -> None:
    case = case_of(liver_lesion=((40, 36, 36), (44, 40, 39)))
    lesion = case.voxels_of(LIVER_LESION)
    assert lesion.any()
    assert not any(case.voxels_of(organ)[lesion].any() for organ in (LEFT, RIGHT, LIVER))


def test_a_lesion_keeps_its_step_against_the_organ_in_another_phase() -> None:
    case = case_of(liver_lesion=((6, 6, 6), (9, 9, 9)))
    code = int(case.tissues[7, 7, 7])
    offsets = np.random.default_rng(0).normal(0, 25, 256).astype(np.float32)
    shown = Scanner(offsets, gain=1.0, shift_hu=0.0, thickness_mm=0.0, blur_mm=0.0, noise_hu=0.0).of_kin(case.kin)
    assert code >= 200
    assert shown.offsets[code] == shown.offsets[5] == offsets[5]


def test_the_same_kind_of_voxel_has_one_code_however_many_lesions_there_are() -> None:
    case = case_of(liver_lesion=((6, 6, 6), (9, 9, 9)))
    more = lay_lesion(
        case, "liver_lesion", box_mask("liver_lesion", (12, 12, 12), (15, 15, 15)).voxels, structures=NAMES
    )
    assert np.unique(more.tissues).tolist() == np.unique(case.tissues).tolist()
    assert int(more.voxels_of(LIVER_LESION).sum()) == 2 * 27


def test_laying_a_lesion_leaves_the_given_case_as_it_was() -> None:
    case = case_of()
    before = case.tissues.copy(), case.members.copy(), case.kin.copy()
    lay_lesion(case, "liver_lesion", box_mask("liver_lesion", (6, 6, 6), (9, 9, 9)).voxels, structures=NAMES)
    for one, other in zip(before, (case.tissues, case.members, case.kin), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_saved_case_keeps_its_lesions_and_their_kin(tmp_path: Path) -> None:
    case = case_of(liver_lesion=((6, 6, 6), (9, 9, 9)))
    save_case(case, tmp_path / "case.npz")
    stored = read_case(tmp_path / "case.npz")
    np.testing.assert_array_equal(stored.kin, case.kin)
    np.testing.assert_array_equal(stored.voxels_of(LIVER_LESION), case.voxels_of(LIVER_LESION))


def test_an_organ_is_painted_only_where_all_of_its_lesions_are_known() -> None:
    assert painted_organs(case_of(), NAMES) == ("liver", "kidney")
    assert painted_organs(case_of("liver", "liver_lesion", "kidney_lesion", "kidney_cyst"), NAMES) == ()
    assert painted_organs(case_of("liver", "liver_lesion", "liver_cyst"), NAMES) == ("liver",)


@pytest.mark.parametrize("seed", range(3))
def test_painted_lesions_change_the_ct_and_leave_organs_whole(seed: int) -> None:
    case, painted = noisy(case_of()), paint(noisy(case_of()), seed)
    lesions = np.any([painted.voxels_of(each) for each in (LIVER_LESION, LIVER_CYST, KIDNEY_LESION, KIDNEY_CYST)], 0)
    assert lesions.any()
    assert (painted.hu != case.hu)[lesions].mean() > 0.5
    assert painted.hu.dtype == np.int16
    for organ in (LEFT, RIGHT, LIVER):
        assert bool(painted.voxels_of(organ)[case.voxels_of(organ)].all())
        assert bool(lesions[painted.voxels_of(organ) & ~case.voxels_of(organ)].all())


def test_the_same_seed_paints_the_same_case() -> None:
    first, again, other = paint(case_of(), 4), paint(case_of(), 4), paint(case_of(), 5)
    np.testing.assert_array_equal(first.hu, again.hu)
    np.testing.assert_array_equal(first.tissues, again.tissues)
    assert (first.hu != other.hu).any()


def test_nothing_is_painted_where_no_lesion_is_known() -> None:
    case = case_of("liver", "kidney_left", "kidney_right")
    painted = paint(case)
    np.testing.assert_array_equal(painted.hu, case.hu)
    np.testing.assert_array_equal(painted.tissues, case.tissues)


def test_an_anatomy_without_a_drawn_lesion_is_known_to_have_none() -> None:
    tissues = np.full((4, 4, 4), Tissue.LIVER, dtype=np.uint8)
    liver_alone = known_in(Anatomy(tissues, frozenset({"liver"})), NAMES)
    assert liver_alone.tolist() == [False, False, True, True, True, False, False]
    tissues[1, 1, 1] = Tissue.LIVER_TUMOUR
    assert known_in(Anatomy(tissues, frozenset({"liver"})), NAMES).tolist() == [False, False, True, *[False] * 4]


def supply_of(source: Source, first: int = 0) -> PatchSupply:
    config = SupplyConfig(SMALL, painted_share=1.0, lesions=MANY, seed=3)
    return PatchSupply(source, config, structures=NAMES, spacing_mm=3.0, air_hu=-125.0, first=first, count=first + 20)


def test_a_supply_with_engines_draws_painted_patches_and_the_same_again_on_resuming() -> None:
    source = Source([case_of()], [1.0], [], ENGINES)
    whole, resumed = supply_of(source), supply_of(source, 4)
    assert any(bool((whole[number].tissues >= 200).any()) for number in range(6))
    assert bool((whole[5].hu == resumed[1].hu).all())


def test_a_supply_without_engines_paints_nothing() -> None:
    supply = supply_of(Source([case_of()], [1.0], []))
    assert not any(bool((supply[number].tissues >= 200).any()) for number in range(6))


def test_held_out_cases_are_validated_with_painted_lesions_too() -> None:
    source = Source([], [], [], ENGINES)
    (painted,) = painted_cases([case_of()], source, structures=NAMES, spacing_mm=1.5)
    assert (painted.tissues >= 200).any()
    assert painted_cases([case_of()], replace(source, engines=()), structures=NAMES, spacing_mm=1.5) == []


def test_a_patch_shows_a_lesion_by_the_contrast_of_its_organ(monkeypatch: pytest.MonkeyPatch) -> None:
    offsets = np.zeros(256, np.float32)
    offsets[5] = 40.0
    brighter = Scanner(offsets, gain=1.0, shift_hu=0.0, thickness_mm=0.0, blur_mm=0.0, noise_hu=0.0)
    monkeypatch.setattr("vision.training.patches.draw_scanner", lambda rng: brighter)
    case = case_of("liver_lesion", liver_lesion=((4, 4, 4), (20, 36, 34)))
    patch = draw_patch(case, config=SMALL, spacing_mm=3.0, air_hu=-125.0, rng=np.random.default_rng(1))
    assert float(patch.fine_hu[0][patch.fine_tissues >= 200].max()) == pytest.approx(150.0, abs=1.0)
