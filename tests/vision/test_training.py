"""Training: what is not annotated teaches nothing, a run resumes and stops in time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.vision.training_parts import (
    SMALL,
    STRUCTURES,
    case_of,
    network_of,
    patch_of,
)
from vision.errors import UsageError, WeightsError
from vision.models.universal.network import UniversalNetwork
from vision.synthesis.anatomy import Anatomy
from vision.training.cases import (
    TrainingCase,
)
from vision.training.export import export_run, read_calibration, read_run
from vision.training.loss import partial_label_loss
from vision.training.passes import TrainingPass, blocked, host_members
from vision.training.patches import draw_patch
from vision.training.recipe import RecipeConfig, train
from vision.training.supply import PatchSupply, Source, SupplyConfig
from vision.training.validation import validate


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
        partial_label_loss(logits, target, torch.ones(1, 1, dtype=torch.bool), foreground_share=0.2).backward()
        assert logits.grad is not None
        pulls.append(float(logits.grad[target].abs().sum()))
    assert pulls[0] > 0.4 * pulls[1]


def test_an_absent_structure_teaches_by_cross_entropy_alone() -> None:
    logits, annotated = torch.zeros(1, 1, 30), torch.ones(1, 1, dtype=torch.bool)
    loss = partial_label_loss(logits, torch.zeros(1, 1, 30, dtype=torch.bool), annotated)
    assert float(loss) == pytest.approx(np.log(2))


def test_a_lesion_that_fills_a_healthy_organ_costs_much_more_than_one_elsewhere() -> None:
    target, annotated = torch.zeros(1, 1, 4000, dtype=torch.bool), torch.ones(1, 1, dtype=torch.bool)
    organ = torch.arange(4000)[None, None] < 20
    logits = torch.where(organ, 2.0, -8.0)
    everywhere = partial_label_loss(logits, target, annotated)
    in_organ = partial_label_loss(logits, target, annotated, within=organ)
    assert float(everywhere) < 0.02
    assert float(in_organ) > 1.0


def test_only_a_lesion_is_looked_for_within_its_organ() -> None:
    structures = ("liver", "kidney_left", "kidney_lesion", "liver_lesion")
    members = torch.zeros(4, 256, dtype=torch.bool)
    for row, code in enumerate((5, 3, 201, 202)):
        members[row, code] = True
    hosts = host_members(("kidney_lesion", "liver"), structures, members)
    assert hosts.nonzero().tolist() == [[0, 3]]


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
    runs = [
        train(source_of(case_of()), [], recipe_of(steps=4, minutes=1e6), tmp_path / name)
        for name in ("first", "second")
    ]
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
    made = first.synthetic.at(0, slot=0, make=first._synthesise)
    assert first.synthetic.at(5, slot=0, make=first._synthesise) is made
    assert not np.array_equal(first.synthetic.at(6, slot=0, make=first._synthesise).hu, made.hu)


def test_validation_of_an_untrained_network_finds_little() -> None:
    network = UniversalNetwork(network_of()).eval()
    found = validate(network, [case_of()])
    assert found["dice"].keys() == found["fine_dice"].keys() == {"liver", "spleen"}
    assert all(0 <= value <= 1 for value in found["fine_dice"].values())


def test_a_calibration_is_read_from_the_reliability_and_given_to_what_is_answered(tmp_path: Path) -> None:
    train(source_of(case_of()), [], recipe_of(minutes=1e-9), tmp_path)
    (tmp_path / "reliability.json").write_text('{"slope": 1.5, "intercept": -2}')
    line = read_calibration(tmp_path / "reliability.json")
    export_run(tmp_path, tmp_path, name="small", leave_out=frozenset({"pancreas"}), calibration=line)
    described = json.loads((tmp_path / "small.json").read_text())
    assert described["calibration"] == {"liver": [1.5, -2.0], "spleen": [1.5, -2.0]}


@pytest.mark.parametrize("text", ["{}", "[1]", '{"slope": null, "intercept": 1}'])
def test_a_file_without_a_calibration_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "reliability.json").write_text(text)
    with pytest.raises(UsageError, match="E_CALIBRATION: The file holds no slope and intercept"):
        read_calibration(tmp_path / "reliability.json")
