"""What a run trains on: real cases and CTs synthesised from anatomies on the fly. Patch n is the same patch always."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import torch
from torch.utils.data import Dataset

from vision.structures import by_name
from vision.synthesis.anatomy import Anatomy, label_members, synthesise_ct
from vision.synthesis.anatomy.tissues import Tissue
from vision.synthesis.tumours.protocol import Engine
from vision.training.cases import TrainingCase, member_table
from vision.training.lesions import LesionConfig, paint_lesions
from vision.training.patches import FINE_PER_COARSE, Patch, PatchConfig, draw_patch

DRAWN_LESIONS: Mapping[str, tuple[Tissue, ...]] = MappingProxyType(
    {
        "liver": (Tissue.LIVER_TUMOUR,),
        "pancreas": (Tissue.PANCREAS_TUMOUR,),
        "kidney_left": (Tissue.KIDNEY_TUMOUR, Tissue.KIDNEY_CYST),
    }
)
"""Tissues of label maps that are lesions of an organ."""
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
    painted_share: float = 0.7
    """Share of cases, real and synthetic, that show painted tumours where the source has engines."""
    repaint_after: int = 60
    """Patches of the run after which a painted case is replaced; three are in use at a time."""
    lesions: LesionConfig = field(default_factory=LesionConfig)
    tumours: tuple[str, ...] = ()
    """The names of the source's engines, for the record."""
    seed: int = 0


@dataclass(frozen=True)
class Source:
    """Real cases, how often each is drawn relative to the others, anatomies to synthesise from, and what paints
    tumours into both where lesions are annotated."""

    cases: Sequence[TrainingCase]
    shares: Sequence[float]
    anatomies: Sequence[Anatomy]
    engines: Sequence[Engine] = ()


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
        self.synthetic = _Slots(config.renew_after)
        self.painted = _Slots(config.repaint_after)

    def __len__(self) -> int:
        return max(0, self.count - self.first)

    def __getitem__(self, index: int) -> Patch:
        torch.set_num_threads(1)
        number = (self.first + index) * self.stride + self.rank
        rng = np.random.default_rng([self.config.seed, number])
        only = not len(self.source.cases)
        if self.source.anatomies and (only or rng.random() < self.config.synthetic_share):
            case = self.synthetic.at(number, slot=int(rng.integers(SLOTS)), make=self._synthesise)
        elif self.source.engines and rng.random() < self.config.painted_share:
            case = self.painted.at(number, slot=int(rng.integers(SLOTS)), make=self._paint)
        else:
            case = self._real(rng)
        return draw_patch(case, config=self.config.patch, spacing_mm=self.spacing_mm, air_hu=self.air_hu, rng=rng)

    def _real(self, rng: np.random.Generator) -> TrainingCase:
        return self.source.cases[int(rng.choice(len(self.source.cases), p=self.shares))]

    def _paint(self, turn: int, slot: int) -> TrainingCase:
        rng = np.random.default_rng([self.config.seed, 5, slot, turn])
        return self._with_lesions(self._real(rng), rng)

    def _synthesise(self, turn: int, slot: int) -> TrainingCase:
        rng = np.random.default_rng([self.config.seed, 1, slot, turn])
        anatomy = self.source.anatomies[int(rng.integers(len(self.source.anatomies)))]
        depth = anatomy.tissues.shape[2]
        start = int(rng.integers(0, max(1, depth - LONGEST_VOXELS + 1)))
        window = Anatomy(anatomy.tissues[:, :, start : start + LONGEST_VOXELS], anatomy.annotated)
        made = synthesise_ct(window, rng=rng)
        members = member_table(self.structures, label_members())
        case = TrainingCase(made.hu, made.tissues, members, known_in(anatomy, self.structures))
        return self._with_lesions(case, rng) if rng.random() < self.config.painted_share else case

    def _with_lesions(self, case: TrainingCase, rng: np.random.Generator) -> TrainingCase:
        if not self.source.engines:
            return case
        return paint_lesions(
            case,
            structures=self.structures,
            engines=self.source.engines,
            spacing_mm=self.spacing_mm / FINE_PER_COARSE,
            rng=rng,
            config=self.config.lesions,
        )


class _Slots:
    """A few cases that are costly to make, each replaced after `every` patches of the run, in turn, not all at once."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.held: dict[int, tuple[int, TrainingCase]] = {}

    def at(self, number: int, *, slot: int, make: Callable[[int, int], TrainingCase]) -> TrainingCase:
        """The case of a slot at patch `number`, made of its turn and slot alone."""
        turn = (number + slot * self.every // SLOTS) // self.every
        held = self.held.get(slot)
        if held is None or held[0] != turn:
            self.held[slot] = held = (turn, make(turn, slot))
        return held[1]


def painted_cases(
    cases: Sequence[TrainingCase], source: Source, *, structures: tuple[str, ...], spacing_mm: float
) -> list[TrainingCase]:
    """Each case once more with lesions painted in, always the same ones, for validation; none without engines."""
    if not source.engines:
        return []
    return [
        paint_lesions(
            case,
            structures=structures,
            engines=source.engines,
            spacing_mm=spacing_mm,
            rng=np.random.default_rng([6, number]),
        )
        for number, case in enumerate(cases)
    ]


def known_in(anatomy: Anatomy, structures: Sequence[str]) -> np.ndarray:
    """(C,) bool: what an anatomy annotates; a lesion is known to be absent where all organs that it can lie in are.

    A lesion that is drawn in an anatomy is not told from its organ there, so its organ's lesions stay unknown.
    """
    drawn = {organ for organ, tissues in DRAWN_LESIONS.items() if np.isin(tissues, anatomy.tissues).any()}
    known = []
    for name in structures:
        hosts = by_name(name).lesion_of
        known.append(
            anatomy.annotated.issuperset(hosts) and not drawn & set(hosts) if hosts else name in anatomy.annotated
        )
    return np.array(known)


def one_patch(batch: Sequence[Patch]) -> Patch:
    """Batches hold one patch: patches differ in size, and the loss is summed over steps instead."""
    (patch,) = batch
    return patch
