"""Scores by structure: means with intervals, as a table for people and as CSV and JSON for programs."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from rich.table import Table

from vision.benchmark.evaluate import CaseScore, Evaluation
from vision.benchmark.metrics import FEW_VALUES, TOLERANCE_MM, Interval, bootstrap_interval
from vision.io import write_text
from vision.structures import by_name

SCORES_FILE = "scores.csv"
SUMMARY_FILE = "evaluation.json"


@dataclass(frozen=True)
class StructureSummary:
    """One structure over all cases in which a metric is defined."""

    structure: str
    dice: Interval
    surface_dice: Interval
    absolute_volume_error_percent: Interval


def summarise(scores: Sequence[CaseScore], *, seed: int = 0) -> list[StructureSummary]:
    """Mean and bootstrap interval of each structure, in the order in which structures first occur."""
    by_structure: dict[str, list[CaseScore]] = {}
    for score in scores:
        by_structure.setdefault(score.structure, []).append(score)
    return [
        StructureSummary(
            structure,
            bootstrap_interval([score.dice for score in rows], seed),
            bootstrap_interval([score.surface_dice for score in rows], seed),
            bootstrap_interval([abs(score.volume_error_percent) for score in rows], seed),
        )
        for structure, rows in by_structure.items()
    ]


def case_table(scores: Sequence[CaseScore]) -> Table:
    """One row for each structure of each case."""
    table = Table(title="Each case")
    table.add_column("case")
    table.add_column("structure")
    headings = (
        "Dice",
        f"surface Dice {TOLERANCE_MM:g} mm",
        "reference mL",
        "predicted mL",
        "volume error %",
        "seconds",
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    for score in scores:
        table.add_row(
            score.case,
            by_name(score.structure).spoken,
            _number(score.dice, 3),
            _number(score.surface_dice, 3),
            _number(score.reference_ml, 1),
            _number(score.predicted_ml, 1),
            _number(score.volume_error_percent, 1),
            _number(score.seconds, 2),
        )
    return table


def structure_table(summaries: Sequence[StructureSummary]) -> Table:
    """One row for each structure: n, then mean with 95 % interval of every metric."""
    table = Table(title="Each structure: mean [95 % interval]", caption=_caution(summaries), caption_justify="left")
    table.add_column("structure")
    for heading in ("n", "Dice", f"surface Dice {TOLERANCE_MM:g} mm", "absolute volume error %"):
        table.add_column(heading, justify="right")
    for row in summaries:
        table.add_row(
            by_name(row.structure).spoken,
            str(row.dice.n),
            _interval(row.dice, 3),
            _interval(row.surface_dice, 3),
            _interval(row.absolute_volume_error_percent, 1),
        )
    return table


def lesion_table(evaluation: Evaluation) -> Table:
    """Pieces of lesion structures in cases without annotated lesions."""
    table = Table(
        title="Suspected lesions where none is annotated",
        caption="False positives if the reference searched for lesions, else an upper bound.",
        caption_justify="left",
    )
    table.add_column("case")
    table.add_column("structure")
    table.add_column("pieces", justify="right")
    table.add_column("mL", justify="right")
    for count in evaluation.lesions:
        table.add_row(count.case, by_name(count.structure).spoken, str(count.pieces), _number(count.volume_ml, 2))
    return table


def evaluation_json(evaluation: Evaluation, *, seed: int = 0) -> dict[str, Any]:
    """Everything as plain JSON values; what is undefined is null."""
    return {
        "segmenter": evaluation.segmenter,
        "tolerance_mm": TOLERANCE_MM,
        "seed": seed,
        "structures": [asdict(row) for row in summarise(evaluation.scores, seed=seed)],
        "scores": [_plain(score) for score in evaluation.scores],
        "lesions_where_none_is_annotated": [asdict(count) for count in evaluation.lesions],
        "annotated_but_not_segmented": {case: list(missing) for case, missing in evaluation.unsegmented.items()},
        "encode_seconds": dict(evaluation.encode_seconds),
    }


def write_evaluation(evaluation: Evaluation, out: Path, *, seed: int = 0) -> Path:
    """Write scores.csv (a row for each structure of each case) and evaluation.json into a folder; returns it."""
    out.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(CaseScore)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(_plain(score) for score in evaluation.scores)
    write_text(out / SCORES_FILE, text.getvalue())
    write_text(out / SUMMARY_FILE, json.dumps(evaluation_json(evaluation, seed=seed), indent=1, allow_nan=False) + "\n")
    return out


def _plain(score: CaseScore) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value for name, value in asdict(score).items()
    }


def _caution(summaries: Sequence[StructureSummary]) -> str | None:
    """What to know before reading an interval."""
    if not any(row.dice.is_small for row in summaries):
        return None
    return f"Percentile bootstrap over cases; with fewer than {FEW_VALUES} cases the interval is too narrow."


def _interval(interval: Interval, digits: int) -> str:
    if interval.mean is None:
        return "-"
    mean = f"{interval.mean:.{digits}f}"
    if interval.low is None or interval.high is None:
        return mean
    return f"{mean} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"
