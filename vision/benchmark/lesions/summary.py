"""What an evaluation of lesions comes to: sensitivity by size, false positives, Dice, size error, false alarms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from vision.benchmark.lesions.estimate import Estimate, estimate
from vision.benchmark.lesions.evaluate import CaseRow, LesionEvaluation, PredictedRow, ReferenceRow
from vision.benchmark.lesions.froc import FrocCurve, froc_curve
from vision.benchmark.reliability import MaskConfidence, Reliability, reliability_of
from vision.structures import names

ALL = "all lesions"
SIZES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"0-5 mm": (0.0, 5.0), "5-10 mm": (5.0, 10.0), "10-20 mm": (10.0, 20.0), "> 20 mm": (20.0, math.inf)}
)
"""Long axes of a bin: above the first number, up to and including the second."""
RELIABLE, FEWEST_LESIONS = 0.8, 5
"""Sensitivity, in a bin of at least so many lesions, that is called reliable."""


@dataclass(frozen=True)
class LesionSummary:
    """One structure, or `ALL` of them, over the scans in which it is annotated and was searched for.

    `by_size` is the sensitivity in each of `SIZES`. `metrics`: sensitivity, false_positives_per_scan, dice_per_lesion
    (0 when missed), dice_of_found, dice_per_case (of those with lesions), size_error_mm and absolute_size_error_mm (of
    found lesions). `lesion_free`: false_alarms_per_scan and scans_with_false_alarm, over scans in which no lesion at
    all is annotated. `froc` is None without lesions.
    """

    structure: str
    by_size: Mapping[str, Estimate]
    metrics: Mapping[str, Estimate]
    lesion_free: Mapping[str, Estimate]
    froc: FrocCurve | None
    merged: int
    fragments: int


def summarise_lesions(evaluation: LesionEvaluation, *, seed: int = 0) -> list[LesionSummary]:
    """Each structure in the order of the table, and all together at the end when there are several."""
    free = {row.case for row in evaluation.rows} - {row.case for row in evaluation.rows if row.lesions}
    searched = {row.structure for row in evaluation.rows}
    groups = [(name, frozenset({name})) for name in names() if name in searched]
    if len(groups) > 1:
        groups.append((ALL, frozenset(searched)))
    return [
        _summarise(
            structure,
            [row for row in evaluation.rows if row.structure in members],
            [row for row in evaluation.references if row.structure in members],
            [row for row in evaluation.predictions if row.structure in members],
            free=free,
            seed=seed,
        )
        for structure, members in groups
    ]


def reliable_from_mm(summary: LesionSummary) -> float | None:
    """The lower end in mm of the smallest bin from which on all with enough lesions reach `RELIABLE`, else None.

    Lesions up to 5 mm have no lower end, so they never count.
    """
    smallest = None
    for size, (low, _) in reversed(tuple(SIZES.items())):
        found = summary.by_size[size]
        if found.value is None or found.n < FEWEST_LESIONS:
            continue
        if found.value < RELIABLE or not low:
            break
        smallest = low
    return smallest


def lesion_reliability(evaluation: LesionEvaluation, *, seed: int = 0) -> Reliability:
    """Whether a suspected lesion's confidence is the chance that it is one: fragments of found lesions stay out."""
    judged = [row for row in evaluation.predictions if row.verdict != "fragment"]
    masks = [
        MaskConfidence(row.case, row.structure, row.confidence, float(row.verdict == "hit"))
        for row in judged
        if not math.isnan(row.confidence)
    ]
    return reliability_of(masks, unscored=len(judged) - len(masks), seed=seed)


def _summarise(
    structure: str,
    rows: Sequence[CaseRow],
    references: Sequence[ReferenceRow],
    predictions: Sequence[PredictedRow],
    *,
    free: set[str],
    seed: int,
) -> LesionSummary:
    false: dict[str, int] = {}
    for row in rows:
        false[row.case] = false.get(row.case, 0) + row.false_positives
    alarms = {case: count for case, count in false.items() if case in free}
    found = [row for row in references if row.found]
    values: dict[str, Iterable[tuple[str, float]]] = {
        "sensitivity": ((row.case, row.found) for row in references),
        "false_positives_per_scan": false.items(),
        "dice_per_lesion": ((row.case, row.dice) for row in references),
        "dice_of_found": ((row.case, row.dice) for row in found),
        "dice_per_case": ((row.case, row.dice) for row in rows if row.lesions),
        "size_error_mm": ((row.case, row.size_error_mm) for row in found),
        "absolute_size_error_mm": ((row.case, abs(row.size_error_mm)) for row in found),
    }
    return LesionSummary(
        structure=structure,
        by_size={
            size: _mean(((row.case, row.found) for row in references if low < row.long_axis_mm <= high), seed)
            for size, (low, high) in SIZES.items()
        },
        metrics={metric: _mean(pairs, seed) for metric, pairs in values.items()},
        lesion_free={
            "false_alarms_per_scan": _mean(alarms.items(), seed),
            "scans_with_false_alarm": _mean(((case, count > 0) for case, count in alarms.items()), seed),
        },
        froc=froc_curve(rows, predictions, seed=seed),
        merged=sum(row.merged for row in rows),
        fragments=sum(row.fragments for row in rows),
    )


def _mean(values: Iterable[tuple[str, float]], seed: int) -> Estimate:
    """The mean of values, each with the scan that it is of."""
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    for case, value in values:
        sums[case] = sums.get(case, 0.0) + value
        counts[case] = counts.get(case, 0) + 1
    return estimate(list(sums.values()), list(counts.values()), seed=seed)
