"""Train one stage of a language model: bf16, cosine to zero, resumes, stops by steps or by a time budget.

The same code runs on two CPU cores, on one GPU and, started by `accelerate launch`, on several. There is no EMA: the
rate falls to zero, so the weights hardly move in the last steps and an average of them would be the same.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import nn
from tqdm import tqdm

from assistant.language.training.checkpoint import Progress, read_checkpoint, trained_of, write_checkpoint
from assistant.language.training.packing import Batch, Supply
from assistant.language.training.passes import Pass
from vision.io.files.atomic import write_text
from vision.training.pace import Pace, note_curve

if TYPE_CHECKING:
    from assistant.language.sight import Stage
    from assistant.language.training.encoded import Corpus


@dataclass(frozen=True)
class StageConfig:
    """How one stage is trained; saved beside what it trains.

    A step learns from `rows` packed rows of at most `row_tokens` tokens in each of `passes`. `minutes` is a wall-clock
    budget over all resumes.
    """

    stage: Stage
    learning_rate: float
    steps: int = 1_000_000
    minutes: float = 60.0
    row_tokens: int = 512
    rows: int = 4
    passes: int = 1
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    warm_up_steps: int = 100
    facts_dropped: float = 0.3
    """Share of the samples that can be told without facts and are: a model that always reads them never looks."""
    note_every: int = 20
    save_every: int = 200
    seed: int = 0


def train_stage(model: nn.Module, corpus: Corpus, config: StageConfig, *, folder: Path, pad: int) -> Progress:
    """Train what of `model`, a `Pass`, requires gradients, or resume what `folder` holds.

    `folder` gets config.json, curve.jsonl (a line every `note_every` steps) and checkpoint.safetensors, which is
    replaced whole. A step whose gradient is not finite is left out and counted. Raises as `read_checkpoint`.
    """
    return _Run(model, corpus, config, folder=folder, pad=pad).go()


class _Run:
    """Everything that changes while a stage goes on."""

    def __init__(self, model: nn.Module, corpus: Corpus, config: StageConfig, *, folder: Path, pad: int) -> None:
        self.config, self.folder = config, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.pace = Pace(config.steps, config.minutes, config.warm_up_steps)
        # Asked for words alone, a batch leaves the mask token without a gradient.
        joined = DistributedDataParallelKwargs(find_unused_parameters=True)
        self.accelerator = Accelerator(mixed_precision="bf16", kwargs_handlers=[joined])
        self.trained = trained_of(model)
        groups = _groups(self.trained, config)
        optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)
        self.progress = read_checkpoint(folder, self.trained, optimiser) or Progress()
        self.inner = optimiser
        self.model: Pass
        self.model, self.optimiser = self.accelerator.prepare(model.train(), optimiser)
        self.supply = Supply(
            corpus,
            row_tokens=config.row_tokens,
            rows=config.rows,
            facts_dropped=config.facts_dropped,
            pad=pad,
            seed=config.seed,
            rank=self.accelerator.process_index,
            ranks=self.accelerator.num_processes,
        )
        self.started = time.monotonic() - self.progress.seconds

    def go(self) -> Progress:
        write_text(self.folder / "config.json", json.dumps(asdict(self.config), indent=1))
        batches = self.supply.batches(self.progress.step * self.config.passes)
        noted: list[tuple[float, float]] = []
        is_main = self.accelerator.is_main_process
        with tqdm(
            total=self.config.steps,
            initial=self.progress.step,
            unit="step",
            desc=self.config.stage,
            disable=None if is_main else True,
        ) as bar:
            while self._done() < 1:
                noted.append(self._take_step(batches))
                bar.update()
                if self.progress.step % self.config.note_every == 0:
                    self._note(noted)
                    noted = []
                if self.progress.step % self.config.save_every == 0:
                    self._save()
        self._save()
        return self.progress

    def _take_step(self, batches: Iterator[Batch]) -> tuple[float, float]:
        config, step = self.config, self.progress.step
        # Dropout draws from torch's own numbers, which a resumed run must draw again.
        torch.manual_seed(int(np.random.SeedSequence([config.seed, step]).generate_state(1)[0]))
        share = self.pace.rate_share(step, self._seconds())
        for group in self.optimiser.param_groups:
            group["lr"] = config.learning_rate * share
        sums, tokens = np.zeros(2), 0
        for _ in range(config.passes):
            batch = next(batches).to(self.accelerator.device)
            losses = self.model(batch)
            self.accelerator.backward(losses.total / config.passes)
            sums += (float(losses.words.detach()), float(losses.masks.detach()))
            tokens += int((batch.segments > 0).sum())
        norm = self.accelerator.clip_grad_norm_(self.trained.values(), 1.0)
        finite = norm is not None and bool(torch.isfinite(norm))
        if finite:
            self.optimiser.step()
        self.optimiser.zero_grad()
        before = self.progress
        self.progress = Progress(
            step=step + 1,
            seconds=self._seconds(),
            left_out=before.left_out + (not finite),
            tokens=before.tokens + tokens * self.accelerator.num_processes,
        )
        return float(sums[0]) / config.passes, float(sums[1]) / config.passes

    def _seconds(self) -> float:
        return time.monotonic() - self.started

    def _done(self) -> float:
        """The same for all processes: else one would wait for another that has ended."""
        done = torch.tensor(self.pace.done(self.progress.step, self._seconds()), device=self.accelerator.device)
        return float(self.accelerator.reduce(done, reduction="mean"))

    def _note(self, losses: list[tuple[float, float]]) -> None:
        if not self.accelerator.is_main_process:
            return
        words, masks = np.mean(losses, axis=0)
        values: dict[str, Any] = {**asdict(self.progress), "seconds": round(self.progress.seconds, 1)}
        note_curve(self.folder, {**values, "loss": round(float(words), 5), "mask_loss": round(float(masks), 5)})

    def _save(self) -> None:
        if self.accelerator.is_main_process:
            write_checkpoint(self.folder, self.trained, self.inner, self.progress)


def _groups(trained: dict[str, nn.Parameter], config: StageConfig) -> list[dict[str, Any]]:
    """Matrices decay; gates, norms and biases do not."""
    matrices = [parameter for parameter in trained.values() if parameter.dim() >= 2]
    others = [parameter for parameter in trained.values() if parameter.dim() < 2]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
