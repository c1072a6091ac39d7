"""Train a segmenter from a person's own cases and anatomies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vision.errors import InputRefused, UsageError
from vision.extras import require_packages
from vision.structures import ABDOMENATLAS, by_name, names

if TYPE_CHECKING:
    from vision.synthesis.anatomy import Anatomy
    from vision.training.cases import CaseEntry, TrainingCase


@dataclass(frozen=True)
class TrainingOptions:
    """What `bodymaps train vision` was asked for. One of `cases` and `anatomies` is there."""

    cases: Path | None
    """A case list: see vision/training/cases.py."""
    anatomies: Path | None
    """A folder of label maps without CT, with its index.csv: see vision/synthesis/anatomy/library.py."""
    out: Path
    minutes: float
    steps: int
    backbone: str = "compact"
    fusion: str = "concat"
    start: str | None = None
    """An installed model whose tensors a new run begins with, where they fit."""
    seed: int = 0
    tumours: tuple[str, ...] = ()
    """Engines that paint tumours into cases and anatomies: the network then learns the lesions of the four organs."""
    shapes: Path | None = None
    """A folder of real tumour shapes, for the engine 'real-shape'."""


def train_vision(options: TrainingOptions) -> Path:
    """Prepare cases and anatomies and train, or resume what `out` holds; returns the checkpoint.

    The network gets words for the 25 structures of AbdomenAtlas 1.1, for every other structure that a case annotates
    and, with `tumours`, for the lesions that are painted. Raises InputRefused for a missing list, UsageError for a
    malformed one, nothing to train on, an engine that there is not, a budget that is not positive or a missing package.
    """
    if options.minutes <= 0 or options.steps <= 0:
        raise UsageError(
            "E_BUDGET", f"Nothing can be trained in {options.minutes} minutes and {options.steps} steps.", "Give more."
        )
    if options.cases is None and options.anatomies is None:
        raise UsageError("E_CASE_LIST", "There is nothing to train on.", "Give --cases, --anatomies or both.")
    if options.cases is not None and not options.cases.is_file():
        raise InputRefused("E_NOT_FOUND", "The case list does not exist.", "Check the path of the case list.")
    if options.fusion not in ("concat", "cross_attention"):
        raise UsageError(
            "E_FUSION", f"There is no fusion {options.fusion[:40]!r}.", "Choose concat or cross_attention."
        )
    require_packages("Training", "accelerate")
    from vision.synthesis.tumours.case import lesions_of
    from vision.synthesis.tumours.engines import make_engine
    from vision.synthesis.tumours.protocol import ORGANS
    from vision.training.cases import prepare_list, read_case_list

    entries = [] if options.cases is None else read_case_list(options.cases)
    engines = [make_engine(name, shapes=options.shapes) for name in options.tumours]
    painted = frozenset().union(*(lesions_of(organ) for organ in ORGANS)) if engines else frozenset()
    structures = trained_structures(painted.union(*(entry.annotated for entry in entries)))
    from vision.models.universal.network import UniversalConfig
    from vision.synthesis.anatomy import read_anatomies
    from vision.training.recipe import RecipeConfig, train
    from vision.training.start import start_tensors
    from vision.training.supply import Source, SupplyConfig, painted_cases

    network = UniversalConfig(structures, backbone=options.backbone, fusion=options.fusion)  # type: ignore[arg-type]
    cases = prepare_list(entries, options.out / "cases", structures=structures, spacing_mm=network.spacing_mm / 2)
    anatomies = [] if options.anatomies is None else read_anatomies(options.anatomies, options.out / "anatomies")
    trained = [(case, entry.share) for case, entry in zip(cases, entries, strict=True) if not entry.held_out]
    source = Source([case for case, _ in trained], [share for _, share in trained], anatomies, engines)
    held_out = [case for case, entry in zip(cases, entries, strict=True) if entry.held_out]
    return train(
        source,
        [*held_out, *painted_cases(held_out, source, structures=structures, spacing_mm=network.spacing_mm / 2)],
        RecipeConfig(
            network=network,
            supply=SupplyConfig(seed=options.seed, tumours=options.tumours),
            minutes=options.minutes,
            steps=options.steps,
            seed=options.seed,
            trained_on=_sources(entries, cases, anatomies, structures, painted),
        ),
        options.out,
        start=None if options.start is None else start_tensors(options.start),
    )


def _sources(
    entries: Sequence[CaseEntry],
    cases: Sequence[TrainingCase],
    anatomies: Sequence[Anatomy],
    structures: Sequence[str],
    painted: frozenset[str],
) -> dict[str, str]:
    """What shows each structure, for those that anything does; a network's own labels do not count.

    A lesion that a case annotates as absent is not shown by it; one that is painted is synthetic wherever it is.
    """
    found = {}
    for number, name in enumerate(structures):
        lesion = by_name(name).kind == "lesion"
        shown = [
            entry.source
            for entry, case in zip(entries, cases, strict=True)
            if name in entry.annotated and not entry.held_out and (not lesion or case.voxels_of(number).any())
        ]
        real = "real" in shown
        synthetic = "phantom" in shown or name in painted or any(name in anatomy.annotated for anatomy in anatomies)
        if real or synthetic:
            found[name] = " and ".join(word for word, true in (("real", real), ("synthetic", synthetic)) if true)
    return found


def trained_structures(annotated: frozenset[str]) -> tuple[str, ...]:
    """The 25 structures of AbdomenAtlas 1.1 and those annotated beside them, in table order."""
    return tuple(name for name in names() if name in annotated or name in ABDOMENATLAS.values())
