"""What a run trains on: real cases and CTs synthesised from anatomies on the fly. Patch n is the same patch always."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.utils.data import Dataset

from vision.synthesis.anatomy import Anatomy, label_members, synthesise_ct
from vision.training.cases import TrainingCase, member_table
from vision.training.patches import Patch, PatchConfig, draw_patch

LONGEST_VOXELS = 220
"""Slices of 1.5 mm that are synthesised at once: a window of the anatomy, drawn anew for each synthetic CT."""
SLOTS = 3


@dataclass(frozen=True)
class SupplyConfig:
    """How patches are drawn."""

    patch: PatchConfig = field(default_factory=PatchConfig)
    synthetic_share: float = 0.55
    """Share of patches from CTs synthesised from anatomies, when there are any."""
    renew_after: int = 72
    """Patches of the run after which a synthetic CT is replaced; three are in use at a time."""
    seed: int = 0


@dataclass(frozen=True)
class Source:
    """Real cases, how often each is drawn relative to the others, and anatomies to synthesise from."""

    cases: Sequence[TrainingCase]
    shares: Sequence[float]
    anatomies: Sequence[Anatomy]


class PatchSupply(Dataset[Patch]):
    """Patches `first` to `count` of a run; every process of several draws every `stride`-th of them."""

    def __init__(
        self,
        source: Source,
        config: SupplyConfig,
        *,
        structures: tuple[str, ...],
        spacing_mm: float,
        air_hu: float,
        first: int,
        count: int,
        rank: int = 0,
        stride: int = 1,
    ) -> None:
        self.source, self.config = source, config
        self.structures, self.spacing_mm, self.air_hu = structures, spacing_mm, air_hu
        self.first, self.count, self.rank, self.stride = first, count, rank, stride
        shares = np.asarray(source.shares, dtype=float)
        self.shares = shares / shares.sum() if len(shares) else shares
        self.synthetic: dict[int, tuple[int, TrainingCase]] = {}

    def __len__(self) -> int:
        return max(0, self.count - self.first)

    def __getitem__(self, index: int) -> Patch:
        torch.set_num_threads(1)
        number = (self.first + index) * self.stride + self.rank
        rng = np.random.default_rng([self.config.seed, number])
        only = not len(self.source.cases)
        if self.source.anatomies and (only or rng.random() < self.config.synthetic_share):
            case = self._synthetic(number, slot=int(rng.integers(SLOTS)))
        else:
            case = self.source.cases[int(rng.choice(len(self.source.cases), p=self.shares))]
        return draw_patch(case, config=self.config.patch, spacing_mm=self.spacing_mm, air_hu=self.air_hu, rng=rng)

    def _synthetic(self, number: int, *, slot: int) -> TrainingCase:
        """The synthetic CT of a slot at patch `number`; the slots are renewed in turn, not all at once."""
        every = self.config.renew_after
        turn = (number + slot * every // SLOTS) // every
        held = self.synthetic.get(slot)
        if held is None or held[0] != turn:
            self.synthetic[slot] = (turn, self._synthesise(np.random.default_rng([self.config.seed, 1, slot, turn])))
        return self.synthetic[slot][1]

    def _synthesise(self, rng: np.random.Generator) -> TrainingCase:
        anatomy = self.source.anatomies[int(rng.integers(len(self.source.anatomies)))]
        depth = anatomy.tissues.shape[2]
        start = int(rng.integers(0, max(1, depth - LONGEST_VOXELS + 1)))
        window = Anatomy(anatomy.tissues[:, :, start : start + LONGEST_VOXELS], anatomy.annotated)
        made = synthesise_ct(window, rng=rng)
        known = np.array([name in anatomy.annotated for name in self.structures])
        return TrainingCase(made.hu, made.tissues, member_table(self.structures, label_members()), known)


def one_patch(batch: Sequence[Patch]) -> Patch:
    """Batches hold one patch: patches differ in size, and the loss is summed over steps instead."""
    (patch,) = batch
    return patch
