"""`bodymaps evaluate lesions --arms real,synthetic`: do painted tumours teach as well as annotated ones? Light."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.terminal import print_json, print_table, progress_bar, tell
from vision.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vision.benchmark import EvaluationCase

REAL, SYNTHETIC = "real", "synthetic"


@dataclass(frozen=True)
class ArmsOptions:
    """What `--arms` was asked for, as the command line says it."""

    arms: str
    out: Path | None
    structures: frozenset[str] | None
    engine: str
    shapes: Path | None
    seeds: int
    minutes: float
    steps: int
    held_out: float
    predictions: Path | None
    model: str | None

    def require_clear(self) -> Path:
        """The folder to write to. Raises UsageError E_ARMS for other arms, without a folder, or with a model."""
        if sorted(word.strip() for word in self.arms.split(",")) != [REAL, SYNTHETIC]:
            raise UsageError("E_ARMS", "The arms are not real and synthetic.", "Write --arms real,synthetic.")
        if self.predictions is not None or self.model is not None:
            raise UsageError(
                "E_ARMS", "The arms are trained here, so no model is asked.", "Leave out --model and --predictions."
            )
        if self.out is None:
            raise UsageError("E_ARMS", "The arms need a folder to train in.", "Give --out FOLDER.")
        return self.out


def compare(cases: Sequence[EvaluationCase], options: ArmsOptions, *, json: bool) -> None:
    """Train, test, print and save; a comparison that was stopped goes on. Raises what `compare_arms` raises."""
    from vision.benchmark.arms import ArmsConfig, arms_json, arms_tables, compare_arms, write_arms
    from vision.benchmark.arms.small import small_recipe
    from vision.synthesis.tumours.engines import make_engine

    out = options.require_clear()
    recipe = small_recipe(minutes=options.minutes, steps=options.steps)
    config = ArmsConfig(recipe, structures=options.structures, seeds=options.seeds, held_out=options.held_out)
    engine = make_engine(options.engine, shapes=options.shapes)
    with progress_bar() as progress:
        comparison = compare_arms(cases, out, config, engine=engine, progress=progress)
    write_arms(comparison, out)
    if json:
        print_json(arms_json(comparison))
    else:
        for table in arms_tables(comparison):
            print_table(table)
    tell(f"Saved to {out}")
