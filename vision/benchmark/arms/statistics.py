"""The difference between two arms, paired by scan and seed, with an interval over both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vision.benchmark.lesions.estimate import LEVELS, Estimate, draws
from vision.benchmark.lesions.evaluate import LesionEvaluation
from vision.benchmark.lesions.summary import SIZES
from vision.benchmark.metrics import FEWEST_VALUES

Tally = Mapping[str, tuple[float, float]]
"""Scan -> sum and number of what is averaged in it."""


@dataclass(frozen=True)
class MetricDifference:
    """One metric of both arms. `by_seed` holds (real, synthetic) of each seed; `difference` is synthetic minus real.

    Values are means over seeds and scans.
    """

    metric: str
    real: Estimate
    synthetic: Estimate
    difference: Estimate
    by_seed: tuple[tuple[float, float], ...]


def compare_metrics(
    real: Sequence[LesionEvaluation], synthetic: Sequence[LesionEvaluation], *, seed: int = 0
) -> list[MetricDifference]:
    """Each metric that the tested scans have values of; both arms have one evaluation a seed, of the same scans.

    Raises ValueError for arms that were not tested on the same lesions.
    """
    tallies = [[tally_metrics(evaluation) for evaluation in arm] for arm in (real, synthetic)]
    compared = []
    for metric in tallies[0][0]:
        scans = sorted({scan for arm in tallies for run in arm for scan in run[metric]})
        if not scans:
            continue
        above, below = (
            np.array([[[run[metric].get(scan, (0.0, 0.0))[part] for scan in scans] for run in arm] for arm in tallies])
            for part in (0, 1)
        )
        if (below != below[0, 0]).any():
            raise ValueError("the arms were not tested on the same lesions")
        values = above.sum(axis=2) / below.sum(axis=2)
        compared.append(
            MetricDifference(
                metric,
                crossed_estimate(above[0], below[0], seed=seed),
                crossed_estimate(above[1], below[1], seed=seed),
                crossed_estimate(above[1] - above[0], below[0], seed=seed),
                tuple((float(one), float(other)) for one, other in zip(*values, strict=True)),
            )
        )
    return compared


def crossed_estimate(above: np.ndarray, below: np.ndarray, *, seed: int = 0) -> Estimate:
    """The sum of `above` over that of `below`, both (S, C) of S seeds and C scans, at least one of them above 0 below.

    The 95 % percentile bootstrap interval draws seeds and scans again, independently of each other (Owen 2007,
    "The pigeonhole bootstrap"): a network trained anew differs, and so does another patient. None with fewer than three
    seeds or scans. `n` counts the things of one seed.
    """
    seeds, scans = above.shape
    value, n = float(above.sum() / below.sum()), round(float(below[0].sum()))
    if min(seeds, scans) < FEWEST_VALUES:
        return Estimate(value, None, None, n, scans)
    by_seed, by_scan = draws(seeds, seed=seed), draws(scans, seed=seed + 1)
    sums = [np.einsum("rs,sc,rc->r", by_seed, part, by_scan, optimize=True) for part in (above, below)]
    low, high = np.percentile(sums[0] / sums[1], LEVELS)
    return Estimate(value, float(low), float(high), n, scans)


def tally_metrics(evaluation: LesionEvaluation) -> dict[str, Tally]:
    """Metric -> its tally over the scans that it has values in, all lesions together."""
    lesions, rows = evaluation.references, evaluation.rows
    scans = {row.case for row in rows}
    false = {scan: (float(sum(row.false_positives for row in rows if row.case == scan)), 1.0) for scan in scans}
    return {
        "sensitivity": _tally((row.case, row.found) for row in lesions),
        **{
            f"sensitivity, {size}": _tally((row.case, row.found) for row in lesions if low < row.long_axis_mm <= high)
            for size, (low, high) in SIZES.items()
        },
        "false positives a scan": false,
        "Dice a lesion": _tally((row.case, row.dice) for row in lesions),
        "Dice a case": _tally((row.case, row.dice) for row in rows if row.lesions),
    }


def _tally(values: Iterable[tuple[str, float]]) -> Tally:
    tally: dict[str, tuple[float, float]] = {}
    for scan, value in values:
        total, count = tally.get(scan, (0.0, 0.0))
        tally[scan] = (total + float(value), count + 1.0)
    return tally
