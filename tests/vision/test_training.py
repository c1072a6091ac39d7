"""Training: what is not annotated teaches nothing, a seed gives a patch, a run resumes and stops in time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from vision.errors import UsageError, WeightsError
from vision.geometry import CTVolume, Grid, Mask
from vision.io import write_ct, write_label_map
from vision.models.universal.network import UniversalConfig, UniversalNetwork
from vision.synthesis.anatomy import Anatomy
from vision.training.cases import (
    TrainingCase,
    label_members,
    member_table,
    prepare_case,
    prepare_list,
    read_case,
    read_case_list,
    save_case,
)
from vision.training.export import export_run, read_run
from vision.training.loss import partial_label_loss
from vision.training.passes import TrainingPass, blocked
from vision.training.patches import Patch, PatchConfig, draw_patch
from vision.training.recipe import RecipeConfig, train
from vision.training.scanner import Scanner, draw_scanner
from vision.training.supply import PatchSupply, Source, SupplyConfig
from vision.training.validation import validate

STRUCTURES = ("liver", "spleen", "pancreas")
GRID = Grid.from_spacing((48, 44, 40), (1.5, 1.5, 1.5))
SMALL = PatchConfig(sizes=((16, 16, 16),), slab_size=(16, 16), slab_mm=(20.0, 40.0), fine_size=(8, 8, 8), multiple=4)
STILL = PatchConfig(
    sizes=((16, 16, 16),),
    slab_probability=0.0,
    fine_size=(8, 8, 8),
    rotation_degrees=0.0,
    scale=(1.0, 1.0),
    displacement_mm=0.0,
)
PLAIN = Scanner(np.zeros(256, np.float32), gain=1.0, shift_hu=0.0, thickness_mm=0.0, blur_mm=0.0, noise_hu=0.0)


def box_mask(name: str, start: tuple[int, int, int], stop: tuple[int, int, int]) -> Mask:
    voxels = np.zeros(GRID.shape, dtype=bool)
    voxels[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return Mask(voxels, GRID, name)


MASKS = {"liver": box_mask("liver", (2, 2, 2), (22, 34, 36)), "spleen": box_mask("spleen", (28, 4, 4), (44, 24, 32))}


def ct_of() -> CTVolume:
    hu = np.full(GRID.shape, 0, dtype=np.int16)
    hu[MASKS["liver"].voxels] = 100
    hu[MASKS["spleen"].voxels] = 150
    return CTVolume(hu, GRID)


def case_of(*annotated: str) -> TrainingCase:
    known = frozenset(annotated or ("liver", "spleen"))
    return prepare_case(ct_of(), MASKS, annotated=known, structures=STRUCTURES, spacing_mm=1.5)


def patch_of(seed: int, config: PatchConfig = SMALL) -> Patch:
    return draw_patch(case_of(), config=config, spacing_mm=3.0, air_hu=-125.0, rng=np.random.default_rng(seed))


def network_of() -> UniversalConfig:
    return UniversalConfig(STRUCTURES, widths=(8, 16), fine_widths=(8, 16), query_width=8, hidden=4)


@pytest.mark.parametrize("known", [(True, False, True), (False, False, True), (False, False, False)])
def test_an_unannotated_structure_gets_exactly_no_gradient(known: tuple[bool, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 50, generator=generator, requires_grad=True)
    target = torch.rand(2, 3, 50, generator=generator) > 0.5
    annotated = torch.tensor([known, (True, True, False)])
    partial_label_loss(logits, target, annotated).backward()
    assert logits.grad is not None
    reached = logits.grad.abs().sum(dim=2) > 0
    assert torch.equal(reached, annotated)


def test_labels_of_what_is_not_annotated_change_no_loss() -> None:
    logits, annotated = torch.randn(1, 3, 40), torch.tensor([[True, False, False]])
    target = torch.zeros(1, 3, 40, dtype=torch.bool)
    other = target.clone()
    other[:, 1:] = True
    assert torch.equal(partial_label_loss(logits, target, annotated), partial_label_loss(logits, other, annotated))


def test_a_perfect_answer_costs_almost_nothing_and_a_wrong_one_much() -> None:
    target = torch.rand(1, 2, 200) > 0.5
    annotated = torch.ones(1, 2, dtype=torch.bool)
    logits = target.float() * 40 - 20
    assert float(partial_label_loss(logits, target, annotated)) < 1e-3
    assert float(partial_label_loss(-logits, target, annotated)) > 10


def test_a_structure_of_few_voxels_pulls_as_hard_as_a_large_one() -> None:
    """Where nothing is found yet: the pull on all voxels of a structure together, 4 of 4,000 against 1,000."""
    pulls = []
    for count in (4, 1000):
        logits = torch.full((1, 1, 4000), -7.0, requires_grad=True)
        target = torch.arange(4000)[None, None] < count
        partial_label_loss(logits, target, torch.ones(1, 1, dtype=torch.bool)).backward()
        assert logits.grad is not None
        pulls.append(float(logits.grad[target].abs().sum()))
    assert pulls[0] > 0.4 * pulls[1]


def test_an_absent_structure_teaches_by_cross_entropy_alone() -> None:
    logits, annotated = torch.zeros(1, 1, 30), torch.ones(1, 1, dtype=torch.bool)
    loss = partial_label_loss(logits, torch.zeros(1, 1, 30, dtype=torch.bool), annotated)
    assert float(loss) == pytest.approx(np.log(2))


def test_a_prepared_case_holds_its_structures_on_the_fine_grid() -> None:
    case = case_of()
    assert case.hu.shape == case.tissues.shape == GRID.shape
    assert case.annotated.tolist() == [True, True, False]
    for index, name in enumerate(("liver", "spleen")):
        np.testing.assert_array_equal(case.voxels_of(index), MASKS[name].voxels)
    assert not case.voxels_of(2).any()


def test_a_lesion_and_a_vessel_belong_to_the_organ_they_lie_in() -> None:
    inside = {"liver_lesion": box_mask("liver_lesion", (6, 6, 6), (9, 9, 9))}
    inside["hepatic_vessel"] = box_mask("hepatic_vessel", (12, 12, 12), (14, 14, 20))
    case = prepare_case(
        ct_of(), {**inside, **MASKS}, annotated=frozenset({"liver"}), structures=STRUCTURES, spacing_mm=1.5
    )
    np.testing.assert_array_equal(case.voxels_of(0), MASKS["liver"].voxels)
    assert len(np.unique(case.tissues)) == 5


def test_every_structure_owns_its_own_code_and_shares_only_what_lies_in_it() -> None:
    members = label_members()
    assert members["aorta"] == (1,)
    assert set(members["liver"]) == {5, 19, 101, 102, *range(121, 129)}
    assert set(members["kidney_left"]) & set(members["kidney_right"]) == {104, 106}
    assert member_table(("aorta",), members).sum() == 1


def test_a_saved_case_reads_back_the_same(tmp_path: Path) -> None:
    case = case_of()
    save_case(case, tmp_path / "case.npz")
    stored = read_case(tmp_path / "case.npz")
    np.testing.assert_array_equal(stored.hu, case.hu)
    np.testing.assert_array_equal(stored.tissues, case.tissues)
    np.testing.assert_array_equal(stored.members, case.members)
    np.testing.assert_array_equal(stored.annotated, case.annotated)
    assert [path.name for path in tmp_path.iterdir()] == ["case.npz"]


def test_the_same_seed_draws_the_same_patch() -> None:
    first, again, other = patch_of(3), patch_of(3), patch_of(4)
    assert torch.equal(first.hu, again.hu)
    assert torch.equal(first.fine_tissues, again.fine_tissues)
    assert not torch.equal(first.hu, other.hu)


@pytest.mark.parametrize("seed", range(8))
def test_a_patch_is_seen_wide_and_near(seed: int) -> None:
    patch = patch_of(seed)
    assert patch.hu.shape[1:] == patch.tissues.shape
    assert patch.tissues.shape[:2] == (16, 16)
    assert patch.tissues.shape[2] % SMALL.multiple == 0
    near = [n // 2 for n in patch.fine_tissues.shape]
    assert all(n % 4 == 0 for n in near)
    assert all(int(a) % 2 == 0 for a in patch.fine_start)
    assert all(int(a) + n <= m for a, n, m in zip(patch.fine_start, near, patch.tissues.shape, strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_both_views_show_the_same_place(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vision.training.patches.draw_scanner", lambda rng: PLAIN)
    patch = patch_of(seed, STILL)
    i, j, k = (int(n) for n in patch.fine_start)
    wide = patch.hu[:, i : i + 8, j : j + 8, k : k + 8]
    near = torch.nn.functional.avg_pool3d(patch.fine_hu[None], 2)[0]
    inner = (slice(None), *[slice(1, 7)] * 3)
    assert float((wide - near)[inner].abs().mean()) < 8.0
    codes = patch.fine_tissues
    for code, hu in ((5, 100.0), (8, 150.0)):
        deep = torch.nn.functional.avg_pool3d((codes == code).float()[None, None], 3, 1, 1)[0, 0] > 0.99
        assert torch.allclose(patch.fine_hu[0][deep], torch.tensor(hu), atol=0.5)


def test_a_thin_scan_ends_in_air() -> None:
    config = PatchConfig(slab_probability=1.0, slab_size=(16, 16), slab_mm=(20.0, 22.0), fine_size=(8, 8, 4))
    patch = patch_of(0, config)
    assert patch.hu.shape == (1, 16, 16, 16)
    assert bool(patch.hu[..., 7:].eq(-125.0).all())
    assert not bool(patch.tissues[..., 7:].any())


def test_a_scanner_changes_contrast_but_not_place() -> None:
    hu, tissues = torch.zeros(8, 8, 8), torch.zeros(8, 8, 8, dtype=torch.uint8)
    tissues[:4] = 5
    offsets = np.zeros(256, np.float32)
    offsets[5] = 40.0
    brighter = Scanner(offsets, gain=1.0, shift_hu=0.0, thickness_mm=0.0, blur_mm=0.0, noise_hu=0.0)
    seen = brighter.scan(hu, tissues, 3.0, np.random.default_rng(0))
    assert float(seen[1, 4, 4]) == 40.0
    assert float(seen[6, 4, 4]) == 0.0


def test_noise_is_quieter_in_larger_voxels() -> None:
    noisy = Scanner(PLAIN.offsets, gain=1.0, shift_hu=0.0, thickness_mm=0.0, blur_mm=0.0, noise_hu=20.0)
    hu, tissues = torch.zeros(24, 24, 24), torch.zeros(24, 24, 24, dtype=torch.uint8)
    fine = noisy.scan(hu, tissues, 1.5, np.random.default_rng(0)).std()
    coarse = noisy.scan(hu, tissues, 3.0, np.random.default_rng(0)).std()
    assert float(fine) == pytest.approx(20.0, rel=0.05)
    assert float(coarse) == pytest.approx(10.0, rel=0.05)


def test_scanners_differ_and_some_keep_the_ct_as_it_is() -> None:
    drawn = [draw_scanner(np.random.default_rng(seed)) for seed in range(60)]
    assert any(scanner.offsets.any() for scanner in drawn)
    assert any(not scanner.offsets.any() and scanner.gain == 1.0 for scanner in drawn)
    assert any(scanner.thickness_mm > 3 for scanner in drawn)


def write_list(folder: Path, **changes: object) -> Path:
    """A case list of one case beside its files: the same voxels, large enough for a body."""
    grid = Grid.from_spacing(GRID.shape, (5.0, 5.0, 10.0))
    write_ct(CTVolume(np.where(ct_of().hu == 0, -1000, ct_of().hu).astype(np.int16), grid), folder / "ct.nii.gz")
    write_label_map([Mask(mask.voxels, grid, name) for name, mask in MASKS.items()], folder / "labels.nii.gz")
    row = {"ct": "ct.nii.gz", "labels": "labels.nii.gz", "order": "abdomenatlas1.1", "annotated": ["liver", "spleen"]}
    (folder / "cases.json").write_text(json.dumps([{k: v for k, v in {**row, **changes}.items() if v is not None}]))
    return folder / "cases.json"


def test_a_case_list_is_prepared_once_and_then_read_from_the_cache(tmp_path: Path) -> None:
    entries = read_case_list(write_list(tmp_path))
    first = prepare_list(entries, tmp_path / "cache", structures=STRUCTURES, spacing_mm=10.0)
    (tmp_path / "ct.nii.gz").unlink()
    again = prepare_list(entries, tmp_path / "cache", structures=STRUCTURES, spacing_mm=10.0)
    np.testing.assert_array_equal(first[0].tissues, again[0].tissues)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["0000.npz"]


@pytest.mark.parametrize("changes", [{"ct": None}, {"order": None}, {"annotated": 7}, {"annotated": ["lever"]}])
def test_a_malformed_case_list_says_what_each_entry_needs(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="E_CASE_LIST: The case list is not a list of training cases"):
        read_case_list(write_list(tmp_path, **changes))


def test_a_case_list_that_is_not_there_or_empty_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="E_CASE_LIST"):
        read_case_list(tmp_path / "none.json")
    (tmp_path / "empty.json").write_text("[]")
    with pytest.raises(UsageError, match="E_CASE_LIST: The case list is empty"):
        read_case_list(tmp_path / "empty.json")


def source_of(*cases: TrainingCase, shares: tuple[float, ...] = ()) -> Source:
    return Source(cases, shares or (1.0,) * len(cases), [])


def recipe_of(steps: int = 20, minutes: float = 5.0) -> RecipeConfig:
    return RecipeConfig(
        network=network_of(), supply=SupplyConfig(SMALL), steps=steps, minutes=minutes, warm_up_steps=2, workers=0
    )


def test_a_run_writes_its_config_its_curve_and_a_checkpoint_that_exports(tmp_path: Path) -> None:
    checkpoint = train(source_of(case_of()), [case_of()], recipe_of(), tmp_path)
    curve = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert torch.load(checkpoint, weights_only=True)["step"] == 20
    assert [line["step"] for line in curve] == [20, 20]
    assert curve[1]["dice"].keys() == {"liver", "spleen"}
    assert all(line["left_out"] == 0 for line in curve)
    weights = export_run(tmp_path, tmp_path / "out", name="small")
    assert weights.stat().st_size > 1000
    assert json.loads((tmp_path / "out" / "small.json").read_text())["kind"] == "universal"
    network, recipe, _ = read_run(tmp_path)
    assert network.config.structures == STRUCTURES
    assert recipe["network"]["widths"] == [8, 16]


def test_a_folder_without_a_checkpoint_cannot_be_exported(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="E_NO_CHECKPOINT"):
        export_run(tmp_path, tmp_path, name="none")


def test_a_run_goes_on_where_it_ended(tmp_path: Path) -> None:
    train(source_of(case_of()), [], recipe_of(steps=3), tmp_path)
    stored = torch.load(train(source_of(case_of()), [], recipe_of(steps=6), tmp_path), weights_only=True)
    assert stored["step"] == 6
    assert stored["optimiser"]["state"][0]["step"] == 6


def test_a_run_stops_when_its_minutes_are_over(tmp_path: Path) -> None:
    checkpoint = train(source_of(case_of()), [], recipe_of(minutes=1e-9), tmp_path)
    assert torch.load(checkpoint, weights_only=True)["step"] == 0


def test_a_run_is_the_same_under_the_same_seed(tmp_path: Path) -> None:
    runs = [train(source_of(case_of()), [], recipe_of(steps=4), tmp_path / name) for name in ("first", "second")]
    first, second = (torch.load(run, weights_only=True)["network"] for run in runs)
    assert all(torch.allclose(first[key], second[key], atol=1e-5) for key in first)


def test_a_run_begins_with_the_tensors_that_fit(tmp_path: Path) -> None:
    given = {key: torch.full_like(value, 0.01) for key, value in UniversalNetwork(network_of()).state_dict().items()}
    given["phrases.side"] = torch.zeros(3, 3)
    checkpoint = train(source_of(case_of()), [], recipe_of(minutes=1e-9), tmp_path, start=given)
    started = torch.load(checkpoint, weights_only=True)["network"]
    assert bool(started["backbone.unet.stem.weight"].eq(0.01).all())
    assert not bool(started["phrases.side"].eq(0).any())


def test_a_step_whose_gradient_is_not_finite_is_left_out_and_counted(tmp_path: Path) -> None:
    case = case_of()
    broken = Source([case], [1.0], [])
    given = {"head.project.bias": torch.full((4,), float("nan"))}
    checkpoint = train(broken, [], recipe_of(steps=2), tmp_path, start=given)
    stored = torch.load(checkpoint, weights_only=True)
    assert stored["left_out"] == 2
    assert bool(torch.isfinite(stored["network"]["backbone.unet.stem.weight"]).all())


@pytest.mark.parametrize("seed", range(4))
def test_only_what_is_annotated_moves_the_words(seed: int) -> None:
    torch.manual_seed(seed)
    network = UniversalNetwork(network_of())
    case = case_of("liver")
    patch = draw_patch(case, config=SMALL, spacing_mm=3.0, air_hu=-125.0, rng=np.random.default_rng(seed))
    losses = TrainingPass(network)(patch, torch.arange(8))
    (losses.coarse + losses.fine).backward()
    moved = network.phrases.structure.grad
    assert moved is not None
    rows = [network.phrases.stems.index(name) for name in ("spleen", "pancreas")]
    assert bool(moved[rows].eq(0).all())


def test_the_near_view_leaves_the_wide_one_alone() -> None:
    network = UniversalNetwork(network_of())
    losses = TrainingPass(network)(patch_of(0), torch.arange(8))
    losses.fine.backward()
    assert network.backbone.unet.stem.weight.grad is None  # type: ignore[union-attr]
    assert network.fine.stem.weight.grad is not None


@pytest.mark.parametrize("stride", [1, 2])
def test_truth_is_laid_out_as_logits_are(stride: int) -> None:
    truth = torch.rand(2, 4, 6, 8) > 0.5
    blocks = blocked(truth, stride)
    assert blocks.shape == (1, 2, stride**3, 4 * 6 * 8 // stride**3)
    assert int(blocks.sum()) == int(truth.sum())


def test_truth_of_another_stride_is_refused() -> None:
    with pytest.raises(ValueError, match="stride 3 is neither 1 nor 2"):
        blocked(torch.zeros(1, 6, 6, 6, dtype=torch.bool), 3)


def supply_of(source: Source, first: int, config: SupplyConfig | None = None) -> PatchSupply:
    return PatchSupply(
        source,
        config or SupplyConfig(SMALL),
        structures=STRUCTURES,
        spacing_mm=3.0,
        air_hu=-125.0,
        first=first,
        count=20,
    )


def test_patch_number_n_is_the_same_after_a_resume() -> None:
    whole, resumed = supply_of(source_of(case_of()), 0), supply_of(source_of(case_of()), 5)
    assert torch.equal(whole[7].hu, resumed[2].hu)
    assert (len(whole), len(resumed)) == (20, 15)


def test_cases_are_drawn_by_their_shares() -> None:
    supply = supply_of(source_of(case_of(), case_of("pancreas"), shares=(0.0, 1.0)), 0)
    assert all(supply[number].annotated.tolist() == [False, False, True] for number in range(4))


def test_synthetic_patches_come_from_anatomies_and_are_renewed_in_turn() -> None:
    tissues = np.full((40, 40, 40), 33, dtype=np.uint8)
    tissues[8:30, 8:30, 8:30] = 5
    source = Source([], [], [Anatomy(tissues, frozenset({"liver"}))])
    config = SupplyConfig(SMALL, renew_after=6)
    first, again = supply_of(source, 0, config), supply_of(source, 3, config)
    patch = first[3]
    assert patch.annotated.tolist() == [True, False, False]
    assert torch.equal(patch.hu, again[0].hu)
    made = first._synthetic(0, slot=0)
    assert first._synthetic(5, slot=0) is made
    assert not np.array_equal(first._synthetic(6, slot=0).hu, made.hu)


def test_validation_of_an_untrained_network_finds_little() -> None:
    network = UniversalNetwork(network_of()).eval()
    found = validate(network, [case_of()])
    assert found["dice"].keys() == found["fine_dice"].keys() == {"liver", "spleen"}
    assert all(0 <= value <= 1 for value in found["fine_dice"].values())
