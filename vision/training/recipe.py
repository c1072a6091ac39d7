"""Train the universal network: bf16, EMA weights, resumes, stops by steps or by a time budget.

The same code runs on two CPU cores, on one GPU and, started by `accelerate launch`, on several.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from vision.io.files.atomic import write_text
from vision.models.universal.network import UniversalConfig, UniversalNetwork
from vision.training.cases import TrainingCase
from vision.training.pace import Pace, note_curve
from vision.training.passes import TrainingPass
from vision.training.patches import Patch
from vision.training.supply import PatchSupply, Source, SupplyConfig, one_patch
from vision.training.validation import validate


@dataclass(frozen=True)
class RecipeConfig:
    """One training run; saved beside the weights."""

    network: UniversalConfig
    supply: SupplyConfig = field(default_factory=SupplyConfig)
    steps: int = 20_000
    minutes: float = 60.0
    """Wall-clock budget over all resumes; the learning rate reaches zero at whichever of the two ends first."""
    patches_per_step: int = 1
    learning_rate: float = 1.5e-3
    phrase_rate: float = 4.0
    """The phrase encoder's share of the learning rate: its vectors are of length 1 and long to turn."""
    weight_decay: float = 1e-2
    warm_up_steps: int = 100
    ema: float = 0.998
    foreground_share: float = 0.2
    """Weight of the cross-entropy inside a structure, averaged over its own voxels: without it a structure of a few
    voxels is forgotten, with it masks come out too large. So it fades, and is gone for the last third of the run."""
    most_weight: float = 2.5
    """Most that a patch weighs; one that annotates 8 structures weighs 1."""
    sub_voxel_budget: int = 36
    """Sub-voxels times structures that the loss looks at, out of 8 times structures, drawn anew each step: on average
    the same gradient as all of them."""
    validate_minutes: float = 10.0
    workers: int = 1
    seed: int = 0
    trained_on: dict[str, str] = field(default_factory=dict)
    """What annotates each structure: real, synthetic, real and synthetic."""


def train(
    source: Source,
    held_out: Sequence[TrainingCase],
    config: RecipeConfig,
    folder: Path,
    *,
    start: dict[str, Tensor] | None = None,
) -> Path:
    """Train, or resume what `folder` holds, and return the checkpoint with the EMA weights.

    `folder/checkpoint.pt` holds everything needed to go on and is replaced whole every 100 steps; `folder/curve.jsonl`
    gets one line every 20 steps and one for each look at the cases `held_out`. A new run begins with the tensors
    `start` where they fit. A step whose gradient is not finite is left out and counted.
    """
    run = _Run(source, config, folder, start)
    return run.go(held_out)


class _Run:
    """Everything that changes while a run goes on."""

    def __init__(self, source: Source, config: RecipeConfig, folder: Path, start: dict[str, Tensor] | None) -> None:
        self.source, self.config, self.folder = source, config, folder
        self.pace = Pace(config.steps, config.minutes, config.warm_up_steps)
        folder.mkdir(parents=True, exist_ok=True)
        self.accelerator = Accelerator(
            mixed_precision="bf16", kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)]
        )
        torch.manual_seed(config.seed)
        network = UniversalNetwork(config.network)
        if start is not None:
            network.load_state_dict({**network.state_dict(), **_fitting(network, start)})
        network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        optimiser = torch.optim.AdamW(_groups(network, config), weight_decay=config.weight_decay)
        self.inner = TrainingPass(network)
        self.passes, self.optimiser = self.accelerator.prepare(self.inner, optimiser)
        self.network = network
        self.average = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        self.step, self.left_out, spent = 0, 0, 0.0
        self.checkpoint = folder / "checkpoint.pt"
        if self.checkpoint.exists():
            stored = torch.load(self.checkpoint, map_location=self.accelerator.device, weights_only=True)
            network.load_state_dict(stored["network"])
            self.average = stored["average"]
            self.optimiser.load_state_dict(stored["optimiser"])
            self.step, self.left_out, spent = stored["step"], stored["left_out"], stored["seconds"]
        self.started = time.monotonic() - spent

    def go(self, held_out: Sequence[TrainingCase]) -> Path:
        config = self.config
        write_text(self.folder / "config.json", json.dumps(asdict(config), indent=1))
        patches = self._patches()
        coarse: list[float] = []
        fine: list[float] = []
        looked = self._seconds()
        bar = tqdm(
            total=config.steps,
            initial=self.step,
            unit="step",
            disable=None if self.accelerator.is_main_process else True,
        )
        while self._done() < 1:
            losses = self._take_step(patches)
            coarse.append(losses[0])
            fine.append(losses[1])
            bar.update()
            if self.step % 20 == 0:
                self._note({"loss": round(float(np.mean(coarse)), 4), "fine_loss": round(float(np.mean(fine)), 4)})
                coarse, fine = [], []
            if self.step % 100 == 0:
                self._save()
            if held_out and self._seconds() - looked > 60 * config.validate_minutes:
                self._note(validate(self._averaged(), held_out))
                looked = self._seconds()
        bar.close()
        self._save()
        if held_out:
            self._note(validate(self._averaged(), held_out))
        return self.checkpoint

    def _patches(self) -> Iterator[Patch]:
        config = self.config
        supply = PatchSupply(
            self.source,
            config.supply,
            structures=config.network.structures,
            spacing_mm=config.network.spacing_mm,
            air_hu=config.network.window_hu[0],
            first=self.step * config.patches_per_step,
            count=config.steps * config.patches_per_step,
            rank=self.accelerator.process_index,
            stride=self.accelerator.num_processes,
        )
        return iter(
            DataLoader(
                supply,
                batch_size=1,
                collate_fn=one_patch,
                num_workers=config.workers,
                prefetch_factor=8 if config.workers else None,
            )
        )

    def _take_step(self, patches: Iterator[Patch]) -> tuple[float, float]:
        config = self.config
        for group in self.optimiser.param_groups:
            group["lr"] = group["full_rate"] * self.pace.rate_share(self.step, self._seconds())
        share = config.foreground_share * max(0.0, 1 - 1.5 * self._done())
        total = [0.0, 0.0]
        for number in range(config.patches_per_step):
            patch = next(patches).to(self.accelerator.device)
            count = min(8, max(1, config.sub_voxel_budget // max(1, int(patch.annotated.sum()))))
            rng = np.random.default_rng([config.seed, 2, self.step, number])
            losses = self.passes(patch, torch.from_numpy(rng.permutation(8)[:count]), share)
            # The loss is a mean over structures; a patch that annotates many teaches each as much as one with few.
            weight = min(config.most_weight, int(patch.annotated.sum()) / 8)
            self.accelerator.backward(weight * (losses.coarse + losses.fine) / config.patches_per_step)
            total = [total[0] + float(losses.coarse.detach()), total[1] + float(losses.fine.detach())]
        norm = self.accelerator.clip_grad_norm_(self.network.parameters(), 1.0)
        if norm is not None and bool(torch.isfinite(norm)):
            self.optimiser.step()
            _follow(self.average, self.network, min(config.ema, (1 + self.step) / (10 + self.step)))
        else:
            self.left_out += 1
        self.optimiser.zero_grad()
        self.step += 1
        return total[0] / config.patches_per_step, total[1] / config.patches_per_step

    def _seconds(self) -> float:
        return time.monotonic() - self.started

    def _done(self) -> float:
        return self.pace.done(self.step, self._seconds())

    def _averaged(self) -> UniversalNetwork:
        network = UniversalNetwork(self.config.network)
        network.load_state_dict(self.average)
        return network.to(self.accelerator.device, memory_format=torch.channels_last_3d).eval()  # type: ignore[call-overload]

    def _note(self, values: dict[str, Any]) -> None:
        if self.accelerator.is_main_process:
            seconds = round(self._seconds(), 1)
            note_curve(self.folder, {"step": self.step, "seconds": seconds, "left_out": self.left_out, **values})

    def _save(self) -> None:
        if not self.accelerator.is_main_process:
            return
        part = self.checkpoint.with_suffix(".part")
        torch.save(
            {
                "network": self.network.state_dict(),
                "average": self.average,
                "optimiser": self.optimiser.state_dict(),
                "step": self.step,
                "left_out": self.left_out,
                "seconds": self._seconds(),
            },
            part,
        )
        part.replace(self.checkpoint)


def _groups(network: UniversalNetwork, config: RecipeConfig) -> list[dict[str, Any]]:
    words = list(network.phrases.parameters())
    known = {id(parameter) for parameter in words}
    others = [parameter for parameter in network.parameters() if id(parameter) not in known]
    fast = config.learning_rate * config.phrase_rate
    return [
        {"params": others, "lr": config.learning_rate, "full_rate": config.learning_rate},
        {"params": words, "lr": fast, "full_rate": fast},
    ]


def _fitting(network: nn.Module, start: dict[str, Tensor]) -> dict[str, Tensor]:
    wanted = network.state_dict()
    return {name: tensor for name, tensor in start.items() if name in wanted and wanted[name].shape == tensor.shape}


def _follow(average: dict[str, Tensor], network: nn.Module, decay: float) -> None:
    """Move the EMA weights towards the network's."""
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            average[name].lerp_(tensor, 1 - decay)
