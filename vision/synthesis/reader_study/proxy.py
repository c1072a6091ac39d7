"""The automatic proxy of a reader study: how well a small classifier tells painted from real lesions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.table import Table

from vision.benchmark.metrics import FEW_VALUES
from vision.errors import UsageError
from vision.synthesis.reader_study.crops import Crop
from vision.synthesis.reader_study.features import lesion_features, surrounding_features

FOLDS = 5
FEWEST_CASES = 3
PENALTY = 1.0
RESAMPLES = 2000


@dataclass(frozen=True)
class Auc:
    """Area under the ROC curve with its 95 % percentile bootstrap interval, cases drawn again. 0.5 cannot tell."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Separability:
    """One engine. `lesion` is the AUC by the lesion and its border, `surroundings` that by the tissue around alone.

    Nobody painted the surroundings: where they can be told apart, the CTs differ, and the first number says less.
    """

    engine: str
    lesion: Auc
    surroundings: Auc
    painted: int
    real: int
    painted_cases: int
    real_cases: int


def tell_apart(
    real: Sequence[Crop], painted: Mapping[str, Sequence[Crop]], rng: np.random.Generator
) -> list[Separability]:
    """Train and test the classifier for each engine's crops against the real ones, cross-validated by case.

    Crops of one case, and real and painted ones of cases with the same name, are never on both sides.
    Raises UsageError E_TOO_FEW for fewer than three cases of either kind.
    """
    rows = []
    for engine, crops in painted.items():
        both = [*real, *crops]
        truth = np.array([crop.engine is not None for crop in both])
        cases = np.array([crop.case for crop in both])
        counts = [len(set(cases[truth])), len(set(cases[~truth]))]
        if min(counts) < FEWEST_CASES:
            raise UsageError(
                "E_TOO_FEW",
                f"{counts[1]} cases with real lesions and {counts[0]} with painted ones are too few to tell apart.",
                f"Give at least {FEWEST_CASES} of each, with lesions of 5 to 80 mm.",
            )
        seeds = rng.integers(2**32, size=2)
        lesion, around = (
            _auc(np.stack([measure(crop) for crop in both]), truth, cases, int(seeds[0]), int(seeds[1]))
            for measure in (lesion_features, surrounding_features)
        )
        rows.append(Separability(engine, lesion, around, len(crops), len(real), counts[0], counts[1]))
    return rows


def separability_table(rows: Sequence[Separability]) -> Table:
    """One row for each engine."""
    table = Table(
        title="Can a small classifier tell?",
        caption="AUC [95 % interval, cases drawn again] of a logistic regression on texture, border and shape, "
        "cross-validated by case; 0.5: cannot tell. The surroundings are nobody's painting: if they can be told, the "
        "CTs differ (scanner, phase), and the lesions' AUC is no measure of the engine. With fewer than "
        f"{FEW_VALUES} cases of a kind the intervals are too narrow.",
        caption_justify="left",
    )
    table.add_column("engine")
    for heading in ("lesion", "surroundings alone", "painted/cases", "real/cases"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row.engine,
            *(f"{auc.value:.2f} [{auc.low:.2f}, {auc.high:.2f}]" for auc in (row.lesion, row.surroundings)),
            f"{row.painted}/{row.painted_cases}",
            f"{row.real}/{row.real_cases}",
        )
    return table


def separability_json(rows: Sequence[Separability]) -> list[dict[str, Any]]:
    """The rows as plain JSON values."""
    return [asdict(row) for row in rows]


def _auc(features: np.ndarray, truth: np.ndarray, cases: np.ndarray, fold_seed: int, draw_seed: int) -> Auc:
    """AUC of out-of-fold scores; `features` (N, F), `truth` (N,) whether painted, `cases` (N,) names."""
    folds = fold_of_cases(truth, cases, np.random.default_rng(fold_seed))
    scores = np.empty(len(truth))
    for fold in np.unique(folds):
        test = folds == fold
        scores[test] = _fitted(features[~test], truth[~test])(features[test])
    above = scores[truth][:, None] - scores[~truth][None, :]
    wins = np.where(above == 0, 0.5, above > 0)
    weights = _case_draws(cases, np.random.default_rng(draw_seed))
    painted, real = weights[:, truth], weights[:, ~truth]
    kept = (painted.sum(axis=1) > 0) & (real.sum(axis=1) > 0)
    pairs = painted.sum(axis=1) * real.sum(axis=1)
    drawn = np.einsum("rp,pq,rq->r", painted, wins, real, optimize=True)[kept] / pairs[kept]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Auc(float(wins.mean()), float(low), float(high))


def fold_of_cases(truth: np.ndarray, cases: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N,) the fold of each crop: all crops of a case in one, real and painted cases spread evenly over all."""
    names = np.unique(cases)
    kinds = {name: tuple(np.unique(truth[cases == name])) for name in names}
    ordered = sorted(rng.permutation(names), key=lambda name: kinds[name])
    count = min(FOLDS, len(set(cases[truth])), len(set(cases[~truth])))
    place = {name: position % count for position, name in enumerate(ordered)}
    return np.array([place[name] for name in cases])


def _fitted(features: np.ndarray, truth: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A logistic regression with an L2 penalty on standardised features, both kinds weighted alike: -> (N,) logits."""
    from scipy.optimize import minimize

    middle, spread = features.mean(axis=0), features.std(axis=0)
    spread[spread < 1e-9] = 1.0
    inputs = np.column_stack([(features - middle) / spread, np.ones(len(features))])
    signs = np.where(truth, 1.0, -1.0)
    weights = np.where(truth, 0.5 / max(truth.sum(), 1), 0.5 / max((~truth).sum(), 1))

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        margin = signs * (inputs @ line)
        penalised = np.append(line[:-1], 0.0) * PENALTY / len(inputs)
        value = float((weights * np.logaddexp(0, -margin)).sum() + 0.5 * (penalised @ line))
        slope = -(weights * signs / (1 + np.exp(np.clip(margin, -500, 500)))) @ inputs
        return value, slope + penalised

    line = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B").x
    return lambda others: np.column_stack([(others - middle) / spread, np.ones(len(others))]) @ line


def _case_draws(cases: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(RESAMPLES, N) how often each crop is drawn when cases are drawn again with replacement."""
    names, member = np.unique(cases, return_inverse=True)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES)
    return drawn[:, member].astype(np.float64)
