"""Scores by structure: mean, median and interval of every metric, as tables for people."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from rich.table import Table

from vision.benchmark.evaluate import CaseScore, Evaluation
from vision.benchmark.metrics import FEW_VALUES, FEWEST_VALUES, TOLERANCE_MM, Interval, bootstrap_interval
from vision.structures import by_name

METRICS: Mapping[str, Callable[[CaseScore], float]] = MappingProxyType(
    {
        "dice": lambda score: score.dice,
        "surface_dice": lambda score: score.surface_dice,
        "absolute_volume_error_ml": lambda score: abs(score.volume_error_ml),
        "absolute_volume_error_percent": lambda score: abs(score.volume_error_percent),
    }
)
EVERY = "mean of a case"
"""The row of a summary over the mean of each case's structures."""


@dataclass(frozen=True)
class StructureSummary:
    """One structure over all cases in which a metric is defined; `metrics` by the names of `METRICS`.

    In the last row of a summary `structure` is `EVERY`, and each case counts once with the mean of its structures.
    """

    structure: str
    metrics: Mapping[str, Interval]


def summarise(scores: Sequence[CaseScore], *, seed: int = 0) -> list[StructureSummary]:
    """Each structure over the cases, in the order in which they first occur, and the mean of each case at the end."""
    by_structure: dict[str, list[CaseScore]] = {}
    by_case: dict[str, list[CaseScore]] = {}
    for score in scores:
        by_structure.setdefault(score.structure, []).append(score)
        by_case.setdefault(score.case, []).append(score)
    rows = [
        StructureSummary(
            structure,
            {name: bootstrap_interval([value(score) for score in own], seed) for name, value in METRICS.items()},
        )
        for structure, own in by_structure.items()
    ]
    if len(by_structure) < 2:
        return rows
    means = {
        name: [_mean([value(score) for score in own]) for own in by_case.values()] for name, value in METRICS.items()
    }
    return [*rows, StructureSummary(EVERY, {name: bootstrap_interval(values, seed) for name, values in means.items()})]


def case_table(evaluation: Evaluation) -> Table:
    """One row for each structure of each case."""
    table = Table(title="Each case", caption=_encoding(evaluation), caption_justify="left")
    for heading in ("case", "structure"):
        table.add_column(heading)
    headings = ("Dice", _SURFACE, "reference mL", "predicted mL", "error mL", "error %", "seconds")
    for heading in headings:
        table.add_column(heading, justify="right")
    for score in evaluation.scores:
        table.add_row(
            score.case,
            by_name(score.structure).spoken,
            number(score.dice, 3),
            number(score.surface_dice, 3),
            number(score.reference_ml, 1),
            number(score.predicted_ml, 1),
            number(score.volume_error_ml, 1),
            number(score.volume_error_percent, 1),
            number(score.seconds, 2),
        )
    return table


def structure_table(summaries: Sequence[StructureSummary]) -> Table:
    """One row for each structure: n, then mean with interval and median of every metric."""
    table = Table(title="Each structure: mean [95 % interval]", caption=_caution(summaries), caption_justify="left")
    table.add_column("structure")
    headings = ("n", "Dice", "median", _SURFACE, "median", "absolute error mL", "absolute error %")
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in summaries:
        overlap, surface, error_ml, error_percent = (row.metrics[name] for name in METRICS)
        table.add_row(
            row.structure if row.structure == EVERY else by_name(row.structure).spoken,
            str(overlap.n),
            interval_text(overlap, 3),
            number(overlap.median, 3),
            interval_text(surface, 3),
            number(surface.median, 3),
            interval_text(error_ml, 1),
            interval_text(error_percent, 1),
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
        table.add_row(count.case, by_name(count.structure).spoken, str(count.pieces), number(count.volume_ml, 2))
    return table


def interval_text(interval: Interval, digits: int) -> str:
    """Mean with its interval in brackets, or with the single values in parentheses where they are too few for one."""
    if interval.mean is None:
        return "-"
    mean = f"{interval.mean:.{digits}f}"
    if interval.low is not None and interval.high is not None:
        return f"{mean} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"
    if interval.n == 1:
        return mean
    return f"{mean} ({', '.join(f'{value:.{digits}f}' for value in interval.values)})"


def number(value: float | None, digits: int) -> str:
    """A number for a table, a dash where it is undefined."""
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


_SURFACE = f"surface Dice {TOLERANCE_MM:g} mm"


def _mean(values: Sequence[float]) -> float:
    kept = [value for value in values if not math.isnan(value)]
    return statistics.fmean(kept) if kept else math.nan


def _encoding(evaluation: Evaluation) -> str | None:
    if not evaluation.encode_seconds:
        return None
    median = statistics.median(evaluation.encode_seconds.values())
    return f"Seconds are those of a mask once its case is encoded, which took {median:.1f} s (median)."


def _caution(summaries: Sequence[StructureSummary]) -> str | None:
    """What to know before reading an interval."""
    if not any(row.metrics["dice"].is_small for row in summaries):
        return None
    return (
        f"Percentile bootstrap over cases; with fewer than {FEW_VALUES} cases the interval is too narrow, with fewer "
        f"than {FEWEST_VALUES} the single values stand in parentheses."
    )
