"""The recipe of the language model: it learns, resumes to the same curve, keeps to its budget, changes only its own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from assistant.language.llms.tiny import tiny_llm
from assistant.language.training.checkpoint import CHECKPOINT_FILE, read_checkpoint, trained_of
from assistant.language.training.encoded import Corpus, EncodedSample, gather
from assistant.language.training.packing import Batch
from assistant.language.training.passes import Losses, TextPass
from assistant.language.training.recipe import StageConfig, train_stage
from vision.errors import WeightsError

CONFIG = StageConfig(
    "text", learning_rate=3e-3, steps=6, minutes=1e6, row_tokens=16, rows=2, warm_up_steps=1, note_every=1, save_every=2
)


class Killed(Exception):
    """What stands for a power cut."""


class Dying(nn.Module):
    """A pass that is killed at its n-th batch."""

    def __init__(self, inner: TextPass, after: int) -> None:
        super().__init__()
        self.inner, self.left = inner, after

    def forward(self, batch: Batch) -> Losses:
        self.left -= 1
        if self.left < 0:
            raise Killed
        losses: Losses = self.inner(batch)
        return losses


class Broken(TextPass):
    """A pass whose gradient is never finite."""

    def forward(self, batch: Batch) -> Losses:
        losses = super().forward(batch)
        return Losses(losses.words * float("nan"), losses.masks)


def corpus_of() -> Corpus:
    """Four prompts, each with an answer of its own."""
    samples = [EncodedSample((20 + n,) * 3, (30 + n, 40 + n, 1)) for n in range(4)]
    return gather([(sample, None) for sample in samples], longest=16)[0]


def model_of(seed: int = 0) -> TextPass:
    return TextPass(tiny_llm("Qwen3ForCausalLM", seed=seed).requires_grad_(True))


def run(folder: Path, model: nn.Module | None = None, config: StageConfig = CONFIG) -> nn.Module:
    model = model or model_of()
    train_stage(model, corpus_of(), config, folder=folder, pad=0)
    return model


def curve(folder: Path) -> dict[int, float]:
    """Step -> loss; of a step that was done twice, the second time."""
    lines = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines}


def test_a_run_learns_and_leaves_config_curve_and_checkpoint(tmp_path: Path) -> None:
    run(tmp_path, config=replace(CONFIG, steps=30))
    losses = curve(tmp_path)
    assert losses[30] < 0.5 * losses[1]
    assert json.loads((tmp_path / "config.json").read_text())["stage"] == "text"
    assert (tmp_path / CHECKPOINT_FILE).is_file()


def test_a_killed_run_goes_on_to_the_same_curve_and_weights(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    with pytest.raises(Killed):
        run(tmp_path / "killed", Dying(model_of(), after=5))
    resumed = run(tmp_path / "killed", Dying(model_of(seed=1), after=100))
    assert curve(tmp_path / "killed") == curve(tmp_path / "whole")
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_run_is_the_same_under_the_same_seed_and_another_under_another(tmp_path: Path) -> None:
    curves = []
    for number, seed in enumerate((0, 0, 1)):
        run(tmp_path / str(number), config=replace(CONFIG, seed=seed, steps=3))
        curves.append(curve(tmp_path / str(number)))
    assert curves[0] == curves[1] != curves[2]


def test_a_run_stops_when_its_minutes_are_over(tmp_path: Path) -> None:
    model = model_of()
    progress = train_stage(model, corpus_of(), replace(CONFIG, steps=10**6, minutes=0.5 / 60), folder=tmp_path, pad=0)
    assert 0 < progress.step < 10**5


def test_what_does_not_train_stays_as_it_was(tmp_path: Path) -> None:
    model = model_of()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("layers.1" in name)
    run(tmp_path, model)
    changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert changed == {name for name in before if "layers.1" in name}


def test_a_step_whose_gradient_is_not_finite_is_left_out_and_counted(tmp_path: Path) -> None:
    model = Broken(tiny_llm("Qwen3ForCausalLM").requires_grad_(True))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    progress = train_stage(model, corpus_of(), CONFIG, folder=tmp_path, pad=0)
    assert progress.left_out == CONFIG.steps
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    run(tmp_path, config=replace(CONFIG, steps=1))
    model = nn.Linear(2, 2)
    with pytest.raises(WeightsError, match=r"E_CHECKPOINT.*it trains other tensors"):
        read_checkpoint(tmp_path, trained_of(model), torch.optim.AdamW(model.parameters()))


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT_FILE).write_bytes(b"\x00" * 40)
    model = nn.Linear(2, 2)
    with pytest.raises(WeightsError, match=r"E_CHECKPOINT.*cannot be read"):
        read_checkpoint(tmp_path, trained_of(model), torch.optim.AdamW(model.parameters()))


def test_a_tensor_of_another_shape_is_refused(tmp_path: Path) -> None:
    from assistant.language.training.checkpoint import Progress, write_checkpoint

    small, large = nn.Linear(2, 2), nn.Linear(3, 2)
    write_checkpoint(tmp_path, trained_of(small), torch.optim.AdamW(small.parameters()), Progress())
    with pytest.raises(WeightsError, match=r"E_CHECKPOINT.*has another shape"):
        read_checkpoint(tmp_path, trained_of(large), torch.optim.AdamW(large.parameters()))
