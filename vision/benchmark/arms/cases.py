"""What the two arms learn from: the same CTs, once with their real lesions, once as if nobody had annotated any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from vision.benchmark.evaluate import numbered
from vision.benchmark.layouts import EvaluationCase, Reference, read_reference
from vision.errors import UsageError
from vision.segmenter import Progress, no_progress
from vision.structures import names
from vision.synthesis.tumours.case import hosts_of, lesions_of
from vision.synthesis.tumours.protocol import ORGANS, Organ

if TYPE_CHECKING:
    from vision.training.cases import TrainingCase

Arm = Literal["real", "synthetic"]
ARMS: tuple[Arm, ...] = ("real", "synthetic")
FEWEST_ILL = 2
"""Cases with a lesion: one to learn from, one to test on."""


@dataclass(frozen=True)
class Surveyed:
    """A case, what it annotates of the organs and their lesions, and which lesions it holds."""

    case: EvaluationCase
    annotated: frozenset[str]
    lesions: frozenset[str]

    def is_healthy(self, organ: Organ) -> bool:
        """Whether lesions of the organ were looked for, and none is there."""
        return bool(lesions_of(organ) & self.annotated) and not lesions_of(organ) & self.lesions

    def can_be_painted(self, organ: Organ) -> bool:
        """Whether tumours can be painted into the organ in the synthetic arm: it is annotated and healthy."""
        return bool(self.annotated.intersection(hosts_of(organ))) and self.is_healthy(organ)


def organs_of(structures: frozenset[str]) -> tuple[Organ, ...]:
    """The organs that some lesions lie in, among those that tumours can be painted into."""
    return tuple(organ for organ in ORGANS if lesions_of(organ) & structures)


def learned(organs: Sequence[Organ]) -> tuple[str, ...]:
    """What a network of either arm has words for: the organs and all of their lesions, in the order of the table."""
    wanted = frozenset(name for organ in organs for name in (*hosts_of(organ), *lesions_of(organ)))
    return tuple(name for name in names() if name in wanted)


def survey(
    cases: Sequence[EvaluationCase], structures: frozenset[str], progress: Progress = no_progress
) -> list[Surveyed]:
    """Read what each case annotates of the organs and lesions `structures`; those that annotate no lesion are left out.

    Raises what reading raises, with the number of the case.
    """
    found = []
    for position, case in enumerate(cases):
        progress("reading cases", position / len(cases))
        with numbered(position + 1, len(cases)):
            reference = read_reference(case, structures)
        lesions = frozenset(name for organ in ORGANS for name in lesions_of(organ))
        if reference.masks.keys() & lesions:
            held = frozenset(name for name in reference.masks.keys() & lesions if reference.masks[name])
            found.append(Surveyed(case, frozenset(reference.masks), held))
    return found


def split_cases(
    surveyed: Sequence[Surveyed], organs: Sequence[Organ], *, held_out: float
) -> tuple[list[Surveyed], list[Surveyed]]:
    """Cases to learn from and cases to test on, the same for both arms and every seed.

    The share `held_out` of the cases with lesions, and as much of the others, is drawn to test on.
    Raises UsageError E_TOO_FEW when an arm would learn nothing or nothing would be tested.
    """
    rng = np.random.default_rng(0)
    ill = [case for case in surveyed if case.lesions]
    well = [case for case in surveyed if not case.lesions]
    if len(ill) < FEWEST_ILL:
        raise UsageError(
            "E_TOO_FEW", f"Only {len(ill)} cases hold a lesion.", "Give at least 2: one to learn from, one to test on."
        )
    train: list[Surveyed] = []
    test: list[Surveyed] = []
    for group, fewest in ((ill, 1), (well, 0)):
        count = min(max(fewest, round(held_out * len(group))), max(0, len(group) - 1))
        drawn = set(rng.permutation(len(group))[:count].tolist())
        train += [case for number, case in enumerate(group) if number not in drawn]
        test += [case for number, case in enumerate(group) if number in drawn]
    if not any(case.can_be_painted(organ) for case in train for organ in organs):
        raise UsageError(
            "E_TOO_FEW",
            "No case to learn from has a healthy organ, so no tumour can be painted.",
            "Add cases in which the organs are annotated and hold no lesion.",
        )
    return train, test


def arm_cases(
    train: Sequence[Surveyed], arm: Arm, organs: Sequence[Organ], cache: Path, *, spacing_mm: float
) -> list[TrainingCase]:
    """The training cases of an arm, at `spacing_mm`, prepared once and kept in `cache`."""
    from vision.training.cases import read_case, save_case

    cache.mkdir(parents=True, exist_ok=True)
    structures = learned(organs)
    cases = []
    for number, surveyed in enumerate(train):
        stored = cache / f"{number:04d}.npz"
        if not stored.exists():
            reference = read_reference(surveyed.case, frozenset(structures))
            save_case(arm_case(surveyed, reference, arm, organs, spacing_mm=spacing_mm), stored)
        cases.append(read_case(stored))
    return cases


def arm_case(
    surveyed: Surveyed, reference: Reference, arm: Arm, organs: Sequence[Organ], *, spacing_mm: float
) -> TrainingCase:
    """A case as an arm sees it.

    In the real arm it annotates what it annotates. In the synthetic arm its lesions are unused: where an organ holds
    one, nothing is known of lesions there and none is painted; in a healthy organ every lesion is known to be absent,
    and may be painted.
    """
    from vision.training.cases import prepare_case

    structures = learned(organs)
    masks, annotated = reference.masks, surveyed.annotated
    if arm == "synthetic":
        lesions = frozenset().union(*(lesions_of(organ) for organ in organs))
        free = frozenset().union(*(lesions_of(organ) for organ in organs if surveyed.can_be_painted(organ)))
        masks = {name: mask for name, mask in masks.items() if name not in lesions}
        annotated = (annotated - lesions) | free
    return prepare_case(reference.ct, masks, annotated=annotated, structures=structures, spacing_mm=spacing_mm)
