"""Training the diffusion engine: its crops, its two stages, what a stopped run goes on with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.vision.tumours.tiny_diffusion import TINY, case_of, tiny_network
from vision.errors import UsageError
from vision.synthesis.tumours import make_engine
from vision.synthesis.tumours.diffusion.networks import LatentDiffusion
from vision.synthesis.tumours.diffusion.storage import open_diffusion
from vision.training.diffusion.autoencoder import AutoencoderStage, revive_codes
from vision.training.diffusion.crops import CropSupply
from vision.training.diffusion.denoiser import DenoiserStage, Shelf, encoded
from vision.training.diffusion.recipe import DiffusionRecipe, train_networks
from vision.training.diffusion.run import DiffusionOptions, train_diffusion

CPU = torch.device("cpu")
AUTOENCODER = AutoencoderStage(steps=3, unquantised_steps=1, voxels=16, batch=1)
DENOISER = DenoiserStage(steps=3, voxels=24, batch=2, kept=3)
RECIPE = DiffusionRecipe(TINY, AUTOENCODER, DENOISER, checked=2)


def supply_of(*annotated: str, seed: int = 0) -> CropSupply:
    return CropSupply(
        [case_of(*(annotated or ("liver",)))], [make_engine("handcrafted")], spacing_mm=TINY.spacing_mm, seed=seed
    )


def test_a_painted_crop_is_the_same_outside_and_says_what_was_painted() -> None:
    crop = supply_of().painted(0, 24)
    assert crop.before.shape == crop.after.shape == crop.inside.shape == (24, 24, 24)
    assert 0 < crop.inside.sum() < 0.5 * crop.inside.size
    assert crop.asked.level_hu == pytest.approx(crop.after[crop.inside > 0].mean(), abs=0.5)
    assert (crop.before == crop.after).mean() > 0.3
    assert crop.asked.organ == "liver"


def test_crop_n_is_the_same_crop_always_and_another_one_another() -> None:
    one, two = supply_of(), supply_of()
    assert one.painted(3, 24).after.tobytes() == two.painted(3, 24).after.tobytes()
    assert one.plain(3, 16).tobytes() == two.plain(3, 16).tobytes()
    assert one.painted(3, 24).after.tobytes() != one.painted(4, 24).after.tobytes()
    assert one.plain(3, 16).tobytes() != supply_of(seed=1).plain(3, 16).tobytes()


def test_a_crop_beyond_the_ct_has_its_size() -> None:
    assert all(supply_of().plain(number, 64).shape == (64, 64, 64) for number in range(4))


def test_an_organ_that_is_not_annotated_teaches_nothing() -> None:
    assert supply_of().organs == ("liver",)
    with pytest.raises(UsageError, match="No case annotates an organ") as refused:
        supply_of("pancreas")
    assert refused.value.code == "E_CASE_LIST"


def test_cases_without_room_for_any_tumour_are_refused() -> None:
    case = case_of("liver")
    speck = np.zeros_like(case.tissues)
    speck[24, 24, 24] = case.tissues[24, 24, 24]
    supply = CropSupply([replace(case, tissues=speck)], [make_engine("handcrafted")], spacing_mm=2.0, seed=0)
    with pytest.raises(UsageError, match="None of 40 tumours found room") as refused:
        supply.painted(0, 24)
    assert refused.value.code == "E_TUMOUR_ROOM"


def test_dead_codes_begin_again_as_latents_that_there_are() -> None:
    network = LatentDiffusion(TINY)
    quantizer = network.autoencoder.quantizer.quantizer
    quantizer.ema_cluster_size.fill_(3.0)
    quantizer.ema_cluster_size[[2, 5]] = 0.1
    before, encodings = network.codebook().clone(), torch.full((1, TINY.code_width, 2, 2, 2), 7.0)
    assert revive_codes(network, encodings, np.random.default_rng(0)) == 2
    changed = (network.codebook() != before).any(dim=1)
    assert changed.nonzero()[:, 0].tolist() == [2, 5]
    assert (network.codebook()[[2, 5]] == 7).all()


def test_the_first_stage_teaches_the_autoencoder_and_nothing_else() -> None:
    network = LatentDiffusion(TINY)
    AUTOENCODER.loss(network, supply_of(), 1, CPU).backward()
    assert all(parameter.grad is not None for parameter in network.autoencoder.decoder.parameters())
    assert all(parameter.grad is not None for parameter in network.autoencoder.encoder.parameters())
    assert all(parameter.grad is None for parameter in network.denoiser.parameters())


def test_the_second_stage_teaches_the_denoiser_and_nothing_else() -> None:
    network = LatentDiffusion(TINY)
    codes = network.codebook().clone()
    Shelf(DENOISER).loss(network, supply_of(), 0, CPU).backward()
    assert all(parameter.grad is None for parameter in network.autoencoder.parameters())
    assert any(parameter.grad is not None for parameter in network.denoiser.parameters())
    assert torch.equal(network.codebook(), codes)


def test_a_shelf_keeps_the_newest_crops() -> None:
    shelf, supply = Shelf(DENOISER), supply_of()
    for step in range(4):
        shelf.loss(tiny_network(), supply, step, CPU)
    assert len(shelf.latents) == len(shelf.told) == DENOISER.kept
    newest, _ = encoded(tiny_network(), supply.painted(3, DENOISER.voxels), CPU)
    assert torch.equal(shelf.latents[-1], newest)


def test_a_tiny_run_leaves_weights_curve_and_settings(tmp_path: Path) -> None:
    weights = train_networks(supply_of(), supply_of(seed=1), RECIPE, tmp_path)
    assert weights.name == "diffusion.safetensors"
    described = json.loads((tmp_path / "diffusion.json").read_text())
    assert described["organs"] == ["liver"]
    assert described["trained_steps"] == {"autoencoder": 3, "denoiser": 3}
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 0
    last = json.loads((tmp_path / "curve.jsonl").read_text().splitlines()[-1])
    assert set(last) == {"stage", "contrast_error_hu", "contrast_correlation", "image_error_hu"}
    assert open_diffusion(tmp_path).organs == ("liver",)


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    short = replace(RECIPE, autoencoder=replace(AUTOENCODER, steps=2), denoiser=replace(DENOISER, steps=1))
    train_networks(supply_of(), supply_of(), short, tmp_path)
    before = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    train_networks(supply_of(), supply_of(), RECIPE, tmp_path)
    after = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert (before["steps"], after["steps"]) == (
        {"autoencoder": 2, "denoiser": 1},
        {"autoencoder": 2, "denoiser": 3},
    )
    learned = [name for name in after["network"] if not torch.equal(after["network"][name], before["network"][name])]
    assert learned
    assert all(name.startswith("denoiser.") for name in learned)


@pytest.mark.parametrize("changes", [{"minutes": 0.0}, {"steps": 0}])
def test_training_needs_a_budget(tmp_path: Path, changes: dict[str, float]) -> None:
    options = DiffusionOptions(tmp_path / "cases.json", tmp_path, minutes=1.0)
    with pytest.raises(UsageError, match="no time or no steps") as refused:
        train_diffusion(replace(options, **changes))  # type: ignore[arg-type]
    assert refused.value.code == "E_BUDGET"


@pytest.mark.slow
def test_the_autoencoder_draws_better_after_a_hundred_steps() -> None:
    torch.manual_seed(0)
    network, stage, supply = LatentDiffusion(TINY), replace(AUTOENCODER, unquantised_steps=40, batch=2), supply_of()
    optimiser, losses = stage.optimiser(network), []
    for step in range(100):
        loss = stage.loss(network, supply, step, CPU)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-20:]) < 0.7 * np.mean(losses[:5])
