"""The FROC curve: which share of the lesions is found at how many false positives for each scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vision.benchmark.lesions.estimate import LEVELS, Estimate, draws
from vision.benchmark.lesions.evaluate import CaseRow, PredictedRow
from vision.benchmark.metrics import FEWEST_VALUES

RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False positives for each scan at which LUNA16 reads the curve (Setio et al. 2017)."""


@dataclass(frozen=True)
class FrocPoint:
    """What is found by the predictions of at least this confidence; the curve is a step from point to point."""

    confidence: float
    false_positives_per_scan: float
    sensitivity: float


@dataclass(frozen=True)
class FrocCurve:
    """The points from the surest prediction on, and the sensitivity at each of `RATES`.

    Between points the curve keeps the last sensitivity that was reached at no more than this rate, and 0 before the
    first point: nothing is interpolated. `confident` says how many predictions have a confidence of their own.
    """

    points: tuple[FrocPoint, ...]
    at_rates: Mapping[float, Estimate]
    lesions: int
    scans: int
    predictions: int
    confident: int


def froc_curve(rows: Sequence[CaseRow], predictions: Sequence[PredictedRow], *, seed: int = 0) -> FrocCurve | None:
    """The curve of some case rows and the predictions in them; None without a lesion, for nothing could be found.

    Fragments count neither as found nor as false. Intervals draw the scans again.
    """
    cases = {name: position for position, name in enumerate(dict.fromkeys(row.case for row in rows))}
    lesions = np.zeros(len(cases))
    for row in rows:
        lesions[cases[row.case]] += row.lesions
    if not lesions.sum():
        return None
    levels = np.array(sorted({row.sure for row in predictions}, reverse=True))
    hits, false = (
        _counts([row for row in predictions if row.verdict == verdict], levels, cases)
        for verdict in ("hit", "false positive")
    )
    points = tuple(
        FrocPoint(float(level), float(wrong), float(right))
        for level, wrong, right in zip(
            levels, false[1:].sum(axis=1) / len(cases), hits[1:].sum(axis=1) / lesions.sum(), strict=True
        )
    )
    return FrocCurve(
        points=points,
        at_rates=_at_rates(hits, false, lesions, seed),
        lesions=int(lesions.sum()),
        scans=len(cases),
        predictions=len(predictions),
        confident=sum(row.confidence == row.sure for row in predictions),
    )


def _counts(predictions: Sequence[PredictedRow], levels: np.ndarray, cases: Mapping[str, int]) -> np.ndarray:
    """(T + 1, scans) how many of the predictions have at least each of T levels; none before the first."""
    counts = np.zeros((len(levels) + 1, len(cases)))
    for row in predictions:
        counts[1 + int(np.searchsorted(-levels, -row.sure)), cases[row.case]] += 1
    return np.cumsum(counts, axis=0)


def _at_rates(hits: np.ndarray, false: np.ndarray, lesions: np.ndarray, seed: int) -> dict[float, Estimate]:
    scans, n = lesions.size, int(lesions.sum())
    values = _sensitivities(np.ones((1, scans)), hits, false, lesions)[0]
    if np.count_nonzero(lesions) < FEWEST_VALUES:
        return {rate: Estimate(float(value), None, None, n, scans) for rate, value in zip(RATES, values, strict=True)}
    weights = draws(scans, seed=seed)
    weights = weights[weights @ lesions > 0]
    drawn = np.concatenate([_sensitivities(some, hits, false, lesions) for some in np.array_split(weights, 40)])
    low, high = np.percentile(drawn, LEVELS, axis=0)
    return {
        rate: Estimate(float(values[column]), float(low[column]), float(high[column]), n, scans)
        for column, rate in enumerate(RATES)
    }


def _sensitivities(weights: np.ndarray, hits: np.ndarray, false: np.ndarray, lesions: np.ndarray) -> np.ndarray:
    """(R, rates) sensitivity at each rate, where scan s counts `weights` (R, scans) times."""
    found = weights @ hits.T / (weights @ lesions)[:, None]
    wrong = weights @ false.T / weights.sum(axis=1)[:, None]
    return np.stack(
        [np.take_along_axis(found, (wrong <= rate).sum(axis=1)[:, None] - 1, axis=1)[:, 0] for rate in RATES], axis=1
    )
