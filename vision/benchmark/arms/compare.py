"""Train both arms over several seeds and test each on the same real cases; what was finished is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vision.benchmark.arms.cases import ARMS, Arm, Surveyed, arm_cases, learned, organs_of, split_cases, survey
from vision.benchmark.arms.statistics import MetricDifference, compare_metrics
from vision.benchmark.files import plain, write_csv, write_json
from vision.benchmark.layouts import EvaluationCase
from vision.benchmark.lesions import LesionEvaluation, SegmenterPredictor, evaluate_lesions, write_lesions
from vision.errors import UsageError
from vision.io import write_text
from vision.segmenter import Progress, no_progress
from vision.synthesis.tumours.case import lesions_of
from vision.synthesis.tumours.protocol import ORGANS, Engine

if TYPE_CHECKING:
    from vision.training.cases import TrainingCase
    from vision.training.recipe import RecipeConfig

FORMAT = "bodymaps-arms-1"
SETTINGS_FILE, RESULT_FILE, TABLE_FILE = "settings.json", "arms.json", "arms.csv"
PAINTABLE = frozenset().union(*(lesions_of(organ) for organ in ORGANS))


@dataclass(frozen=True)
class ArmsConfig:
    """What is compared. `structures` are the lesions that are tested, None for all that the cases annotate.

    Every arm of every seed trains by `recipe`, whose network gets the structures and whose seeds are replaced by
    0, 1, ..., `seeds` of them; its steps or minutes are the budget of one training. More seeds may be added later.
    """

    recipe: RecipeConfig
    structures: frozenset[str] | None = None
    seeds: int = 3
    held_out: float = 0.4

    def __post_init__(self) -> None:
        if self.seeds < 1 or not 0 < self.held_out < 1:
            raise UsageError(
                "E_ARMS", "There is nothing to compare.", "Give 1 seed or more, and hold out a share between 0 and 1."
            )
        strange = sorted((self.structures or frozenset()) - PAINTABLE)
        if strange:
            raise UsageError(
                "E_ARMS",
                f"No tumour can be painted as {strange[0][:60]!r}.",
                f"Choose from {', '.join(sorted(PAINTABLE))}.",
            )


@dataclass(frozen=True)
class ArmRun:
    """One training of an arm and how it did: `steps` and `seconds` of training until it was over."""

    arm: Arm
    seed: int
    steps: int
    seconds: float
    evaluation: LesionEvaluation


@dataclass(frozen=True)
class ArmsComparison:
    """Everything that came out. `training` and `tested` count cases, `structures` are the lesions that were tested."""

    engine: str
    structures: tuple[str, ...]
    training: int
    tested: int
    minutes: float
    runs: tuple[ArmRun, ...]
    metrics: tuple[MetricDifference, ...]


def compare_arms(
    cases: Sequence[EvaluationCase],
    out: Path,
    config: ArmsConfig,
    *,
    engine: Engine,
    progress: Progress = no_progress,
) -> ArmsComparison:
    """Train a network of each arm for every seed, test all on the same held-out cases, and compare.

    `out` keeps the prepared cases, every training, which goes on where it was stopped, and every evaluation. Raises
    UsageError E_TOO_FEW for too few cases, E_NOT_ANNOTATED when no case annotates such a lesion, E_ARMS when `out`
    holds another comparison; and what reading and training raise.
    """
    asked = PAINTABLE if config.structures is None else config.structures
    surveyed = survey(cases, frozenset(learned(organs_of(asked))), progress)
    tested = asked & frozenset().union(*(each.annotated for each in surveyed))
    if not tested:
        raise UsageError(
            "E_NOT_ANNOTATED",
            "No case says anything about these lesions.",
            "Say with --annotated which lesions were searched for in the reference; those without any count as absent.",
        )
    organs = organs_of(tested)
    train_cases, test_cases = split_cases(surveyed, organs, held_out=config.held_out)
    recipe = replace(config.recipe, network=replace(config.recipe.network, structures=learned(organs)))
    _claim(out, _settings(recipe, config, engine, train_cases, test_cases, tested))
    prepared = {
        arm: arm_cases(train_cases, arm, organs, out / arm / "cases", spacing_mm=recipe.network.spacing_mm / 2)
        for arm in ARMS
    }
    runs = []
    for number, (seed, arm) in enumerate((seed, arm) for seed in range(config.seeds) for arm in ARMS):
        progress(f"{arm} arm, seed {seed}", number / (len(ARMS) * config.seeds))
        folder = out / arm / f"seed_{seed}"
        engines = (engine,) if arm == "synthetic" else ()
        run = _train_and_test(
            prepared[arm], test_cases, recipe, folder, arm=arm, seed=seed, engines=engines, tested=tested
        )
        runs.append(run)
    progress("done", 1.0)
    of_arm = {arm: [run.evaluation for run in runs if run.arm == arm] for arm in ARMS}
    return ArmsComparison(
        engine=engine.name,
        structures=tuple(name for name in learned(organs) if name in tested),
        training=len(train_cases),
        tested=len(test_cases),
        minutes=recipe.minutes,
        runs=tuple(runs),
        metrics=tuple(compare_metrics(of_arm["real"], of_arm["synthetic"])),
    )


def _train_and_test(
    cases: Sequence[TrainingCase],
    test_cases: Sequence[Surveyed],
    recipe: RecipeConfig,
    folder: Path,
    *,
    arm: Arm,
    seed: int,
    engines: Sequence[Engine],
    tested: frozenset[str],
) -> ArmRun:
    from vision.models.coarse_to_fine import UniversalSegmenter
    from vision.training.export import read_run
    from vision.training.recipe import train
    from vision.training.supply import Source

    supply = replace(recipe.supply, seed=seed, tumours=tuple(engine.name for engine in engines))
    source = Source(cases, [1.0] * len(cases), [], engines)
    train(source, [], replace(recipe, seed=seed, supply=supply), folder)
    network, _, stored = read_run(folder)
    segmenter = UniversalSegmenter(network, name=f"{arm} arm, seed {seed}")
    evaluation = evaluate_lesions([each.case for each in test_cases], SegmenterPredictor(segmenter), structures=tested)
    write_lesions(evaluation, folder / "evaluation")
    return ArmRun(arm, seed, int(stored["step"]), float(stored["seconds"]), evaluation)


def _settings(
    recipe: RecipeConfig,
    config: ArmsConfig,
    engine: Engine,
    train_cases: Sequence[Surveyed],
    test_cases: Sequence[Surveyed],
    tested: frozenset[str],
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "engine": engine.name,
        "structures": sorted(tested),
        "held_out": config.held_out,
        "learned_from": [each.case.name for each in train_cases],
        "tested_on": [each.case.name for each in test_cases],
        "recipe": asdict(recipe),
    }


def _claim(out: Path, settings: dict[str, Any]) -> None:
    """Say in the folder what is compared there, or refuse one that compares something else."""
    text = json.dumps(settings, indent=1) + "\n"
    file = out / SETTINGS_FILE
    if file.is_file() and file.read_text(encoding="utf-8") != text:
        raise UsageError(
            "E_ARMS",
            "The folder holds a comparison of other cases or settings.",
            "Give another --out folder, or the same cases and settings.",
        )
    write_text(file, text)


def write_arms(comparison: ArmsComparison, out: Path) -> Path:
    """Write arms.json and arms.csv (a row for each metric) into a folder; returns it."""
    rows = []
    for metric in comparison.metrics:
        row: dict[str, Any] = {"metric": metric.metric, "n": metric.real.n, "scans": metric.real.scans}
        for name, value in (("real", metric.real), ("synthetic", metric.synthetic), ("difference", metric.difference)):
            stated = plain(value)
            row |= {name: stated["value"], f"{name}_low": stated["low"], f"{name}_high": stated["high"]}
        rows.append(row)
    write_csv(out / TABLE_FILE, list(rows[0]), rows)
    write_json(out / RESULT_FILE, arms_json(comparison))
    return out


def arms_json(comparison: ArmsComparison) -> dict[str, Any]:
    """Everything as plain JSON values; what is undefined is null."""
    return {
        "engine": comparison.engine,
        "structures": list(comparison.structures),
        "training_cases": comparison.training,
        "test_cases": comparison.tested,
        "minutes_a_training": comparison.minutes,
        "runs": [
            {"arm": run.arm, "seed": run.seed, "steps": run.steps, "seconds": round(run.seconds, 1)}
            for run in comparison.runs
        ],
        "metrics": [
            {
                "metric": row.metric,
                "real": plain(row.real),
                "synthetic": plain(row.synthetic),
                "synthetic_minus_real": plain(row.difference),
                "by_seed": [{"real": round(one, 6), "synthetic": round(other, 6)} for one, other in row.by_seed],
            }
            for row in comparison.metrics
        ],
    }
