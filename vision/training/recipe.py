"""Train the compact network from a list of cases: bf16, EMA weights, resumes, stops by steps or by a time budget."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from vision.models.compact import CompactConfig, CompactUNet, scale_hu, space_to_depth
from vision.training.augment import AugmentConfig, draw_patch
from vision.training.cases import TrainingCase
from vision.training.loss import partial_label_loss


@dataclass(frozen=True)
class RecipeConfig:
    """One training run; saved beside the weights."""

    network: CompactConfig
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    steps: int = 5000
    minutes: float = 90.0
    """Wall-clock budget over all resumes; the learning rate reaches zero at whichever of the two ends first."""
    batch: int = 1
    learning_rate: float = 1.5e-3
    weight_decay: float = 1e-2
    warm_up_steps: int = 100
    ema: float = 0.998
    phases: int = 4
    """How many of the 8 sub-voxels of each stem voxel the loss looks at per step, drawn anew each time: on average the
    same gradient as all 8, at half of the loss's cost."""
    seed: int = 0
    rare: tuple[str, ...] = ()
    """Structures so small that a network first learns to leave them out; `rare_weight` multiplies their BCE inside."""
    rare_weight: float = 30.0
    weights_by_case: tuple[float, ...] = ()
    """Relative frequency of each case in the batches; empty means equal."""


class PatchDataset(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Patch number n of a run is the same patch whenever it is asked for."""

    def __init__(self, cases: Sequence[TrainingCase], config: RecipeConfig, first: int) -> None:
        self.cases = cases
        self.config = config
        self.first = first
        weights = np.asarray(config.weights_by_case or [1.0] * len(cases), dtype=float)
        self.share = weights / weights.sum()

    def __len__(self) -> int:
        return self.config.steps * self.config.batch - self.first

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        torch.set_num_threads(1)
        rng = np.random.default_rng([self.config.seed, self.first + number])
        case = self.cases[int(rng.choice(len(self.cases), p=self.share))]
        network = self.config.network
        patch = draw_patch(case, network.channels, config=self.config.augment, window_hu=network.window_hu, rng=rng)
        return scale_hu(patch.hu, network.window_hu), patch.target, patch.annotated


def train(cases: Sequence[TrainingCase], config: RecipeConfig, folder: Path, *, device: str = "cpu") -> Path:
    """Train, or resume what `folder` holds, and return the checkpoint with the EMA weights.

    `folder/checkpoint.pt` holds everything needed to go on and is replaced whole every 100 steps;
    `folder/curve.jsonl` gets one line every 20 steps.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(asdict(config), indent=1))
    torch.manual_seed(config.seed)
    network = CompactUNet(config.network).to(device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    average = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    checkpoint = folder / "checkpoint.pt"
    step, spent = 0, 0.0
    if checkpoint.exists():
        stored = torch.load(checkpoint, map_location=device, weights_only=True)
        network.load_state_dict(stored["network"])
        average = stored["average"]
        optimiser.load_state_dict(stored["optimiser"])
        step, spent = stored["step"], stored["seconds"]
    loader = DataLoader(
        PatchDataset(cases, config, step * config.batch), batch_size=config.batch, num_workers=1, prefetch_factor=3
    )
    started = time.monotonic() - spent
    losses: list[float] = []
    weight = torch.tensor([config.rare_weight if name in config.rare else 1.0 for name in config.network.channels])
    weight = weight.to(device)
    for hu, target, annotated in tqdm(loader, initial=step, total=config.steps, unit="step", disable=None):
        seconds = time.monotonic() - started
        done = max(step / config.steps, seconds / (60 * config.minutes))
        if done >= 1:
            break
        warm = min(1.0, (step + 1) / config.warm_up_steps)
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * warm * 0.5 * (1 + float(np.cos(np.pi * done)))
        phases = torch.from_numpy(np.random.default_rng([config.seed, 1, step]).permutation(8)[: config.phases])
        with torch.autocast(device, torch.bfloat16):
            blocks = network.blocks(hu.to(device, memory_format=torch.channels_last_3d))
        logits = blocks.unflatten(1, (-1, 8))[:, :, phases].flatten(2)
        truth = space_to_depth(target.to(device)).unflatten(1, (-1, 8))[:, :, phases].flatten(2)
        loss = partial_label_loss(logits.float(), truth, annotated.to(device), positive_weight=weight)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        step += 1
        _follow(average, network, min(config.ema, (1 + step) / (10 + step)))
        losses.append(float(loss.detach()))
        if step % 20 == 0:
            with (folder / "curve.jsonl").open("a") as curve:
                line = {"step": step, "seconds": round(seconds, 1), "loss": round(float(np.mean(losses)), 4)}
                curve.write(json.dumps(line) + "\n")
            losses = []
        if step % 100 == 0:
            _save(checkpoint, network, average, optimiser, step, time.monotonic() - started)
    _save(checkpoint, network, average, optimiser, step, time.monotonic() - started)
    return checkpoint


def _follow(average: dict[str, Tensor], network: torch.nn.Module, decay: float) -> None:
    """Move the EMA weights towards the network's."""
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            average[name].lerp_(tensor, 1 - decay)


def _save(
    path: Path,
    network: torch.nn.Module,
    average: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    step: int,
    seconds: float,
) -> None:
    part = path.with_suffix(".part")
    torch.save(
        {
            "network": network.state_dict(),
            "average": average,
            "optimiser": optimiser.state_dict(),
            "step": step,
            "seconds": seconds,
        },
        part,
    )
    part.replace(path)
