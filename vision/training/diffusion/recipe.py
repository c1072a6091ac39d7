"""Train the diffusion engine: autoencoder, then denoiser; on one GPU or the CPU, within a time, and it resumes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from vision.io.files.atomic import write_text
from vision.synthesis.tumours.diffusion.config import DiffusionConfig
from vision.synthesis.tumours.diffusion.networks import LatentDiffusion
from vision.synthesis.tumours.diffusion.storage import save_diffusion
from vision.training.diffusion.autoencoder import AutoencoderStage
from vision.training.diffusion.crops import CropSupply
from vision.training.diffusion.denoiser import DenoiserStage, Shelf
from vision.training.diffusion.levels import check_levels
from vision.training.pace import Pace, note_curve

StageName = Literal["autoencoder", "denoiser"]
STAGES: tuple[StageName, ...] = ("autoencoder", "denoiser")
StepLoss = Callable[[LatentDiffusion, CropSupply, int, torch.device], Tensor]
NOTE_EVERY, SAVE_EVERY = 20, 100


@dataclass(frozen=True)
class DiffusionRecipe:
    """One run; saved beside the weights. The rates are for nets of this size in minutes, not DiffTumor's for days."""

    network: DiffusionConfig = field(default_factory=DiffusionConfig)
    autoencoder: AutoencoderStage = field(default_factory=AutoencoderStage)
    denoiser: DenoiserStage = field(default_factory=DenoiserStage)
    minutes: float = 20.0
    """Wall-clock budget over all resumes; a stage ends with its share of it or with its steps."""
    autoencoder_share: float = 0.4
    warm_up_steps: int = 50
    ema: float = 0.995
    """Of the denoiser's weights, as in DiffTumor."""
    checked: int = 24
    """Painted crops that the finished network is measured on."""
    seed: int = 0


def train_networks(supply: CropSupply, held_out: CropSupply, recipe: DiffusionRecipe, folder: Path) -> Path:
    """Train, or resume what `folder` holds; returns the safetensors file, described beside it.

    `folder/checkpoint.pt` holds everything needed to go on and is replaced whole every 100 steps, from the second stage
    on with weights that can be used; `folder/curve.jsonl` gets a line every 20 steps and at the end what `check_levels`
    measures on `held_out`. A step whose gradient is not finite is left out.
    """
    return _Run(supply, recipe, folder).go(held_out)


class _Run:
    """Everything that changes while a run goes on."""

    def __init__(self, supply: CropSupply, recipe: DiffusionRecipe, folder: Path) -> None:
        self.supply, self.recipe, self.folder = supply, recipe, folder
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(recipe.seed)
        self.network = LatentDiffusion(recipe.network).to(self.device)
        self.average = {name: tensor.detach().clone() for name, tensor in self.network.denoiser.state_dict().items()}
        self.steps: dict[StageName, int] = dict.fromkeys(STAGES, 0)
        self.seconds: dict[StageName, float] = dict.fromkeys(STAGES, 0.0)
        self.stage: StageName = STAGES[0]
        self.optimiser = recipe.autoencoder.optimiser(self.network)
        self.checkpoint = folder / "checkpoint.pt"
        if self.checkpoint.exists():
            self._resume()

    def go(self, held_out: CropSupply) -> Path:
        recipe = self.recipe
        write_text(self.folder / "config.json", json.dumps(asdict(recipe), indent=1))
        if self.stage == "autoencoder":
            self._train(recipe.autoencoder.loss, recipe.autoencoder.steps, recipe.autoencoder_share)
            self.stage, self.optimiser = "denoiser", recipe.denoiser.optimiser(self.network)
        self._train(Shelf(recipe.denoiser).loss, recipe.denoiser.steps, 1 - recipe.autoencoder_share)
        weights = self._export()
        measured = check_levels(self._averaged(), held_out, count=recipe.checked, voxels=recipe.denoiser.voxels)
        note_curve(self.folder, {"stage": "check", **measured})
        return weights

    def _train(self, loss_of: StepLoss, steps: int, share: float) -> None:
        """Take steps of a stage until it has had its share of the time, or all its steps."""
        stage, losses = self.stage, list[float]()
        pace = Pace(steps, share * self.recipe.minutes, self.recipe.warm_up_steps)
        full_rates = [group["lr"] for group in self.optimiser.param_groups]
        started = time.monotonic() - self.seconds[stage]
        bar = tqdm(total=steps, initial=self.steps[stage], unit="step", desc=stage, disable=None)
        while pace.done(self.steps[stage], self.seconds[stage]) < 1:
            for group, rate in zip(self.optimiser.param_groups, full_rates, strict=True):
                group["lr"] = rate * pace.rate_share(self.steps[stage], self.seconds[stage])
            losses.append(self._step(loss_of))
            self.steps[stage] += 1
            self.seconds[stage] = time.monotonic() - started
            bar.update()
            if self.steps[stage] % NOTE_EVERY == 0:
                self._note(float(np.mean(losses)))
                losses = []
            if self.steps[stage] % SAVE_EVERY == 0:
                self._save()
        bar.close()
        self._save()

    def _step(self, loss_of: StepLoss) -> float:
        loss = loss_of(self.network, self.supply, self.steps[self.stage], self.device)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        learned = [parameter for group in self.optimiser.param_groups for parameter in group["params"]]
        if bool(torch.isfinite(torch.nn.utils.clip_grad_norm_(learned, 1.0))):
            self.optimiser.step()
        if self.stage == "denoiser":
            decay = min(self.recipe.ema, (1 + self.steps["denoiser"]) / (10 + self.steps["denoiser"]))
            with torch.no_grad():
                for name, tensor in self.network.denoiser.state_dict().items():
                    self.average[name].lerp_(tensor, 1 - decay)
        return float(loss.detach())

    def _averaged(self) -> LatentDiffusion:
        """The network with the denoiser's EMA weights, on the CPU."""
        network = LatentDiffusion(self.recipe.network)
        network.load_state_dict(self.network.state_dict())
        network.denoiser.load_state_dict(self.average)
        return network.eval()

    def _note(self, loss: float) -> None:
        stage = self.stage
        values = {"stage": stage, "step": self.steps[stage], "seconds": round(self.seconds[stage], 1)}
        used = self.network.autoencoder.quantizer.quantizer.ema_cluster_size > 1
        note_curve(self.folder, {**values, "loss": round(loss, 4), "codes_used": int(used.sum())})

    def _save(self) -> None:
        part = self.checkpoint.with_suffix(".part")
        torch.save(
            {
                "stage": self.stage,
                "steps": dict(self.steps),
                "seconds": dict(self.seconds),
                "network": self.network.state_dict(),
                "average": self.average,
                "optimiser": self.optimiser.state_dict(),
            },
            part,
        )
        part.replace(self.checkpoint)
        if self.stage == "denoiser":
            self._export()

    def _resume(self) -> None:
        stored = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        self.network.load_state_dict(stored["network"])
        self.stage, self.steps, self.seconds = stored["stage"], stored["steps"], stored["seconds"]
        self.average = stored["average"]
        if self.stage == "denoiser":
            self.optimiser = self.recipe.denoiser.optimiser(self.network)
        rates = [group["lr"] for group in self.optimiser.param_groups]
        self.optimiser.load_state_dict(stored["optimiser"])
        for group, rate in zip(self.optimiser.param_groups, rates, strict=True):
            group["lr"] = rate

    def _export(self) -> Path:
        return save_diffusion(
            self._averaged(),
            self.folder,
            organs=self.supply.organs,
            recipe=asdict(self.recipe),
            trained_steps={stage: self.steps[stage] for stage in STAGES},
            trained_seconds={stage: self.seconds[stage] for stage in STAGES},
        )
