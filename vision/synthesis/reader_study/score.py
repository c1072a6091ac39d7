"""Score a reader study: how often readers told painted from real lesions, with Wilson intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from vision.errors import InputRefused
from vision.synthesis.reader_study.key import PAINTED, REAL, StudyAnswers, StudyKey


@dataclass(frozen=True)
class Proportion:
    """`right` of `n` with the 95 % Wilson interval (Wilson 1927); None where n is 0."""

    right: int
    n: int
    share: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class StudyScore:
    """One reader. Sensitivity: painted lesions called painted; specificity: real ones called real.

    `by_engine` is the sensitivity for each engine's lesions. Items without an answer count nowhere but in `unanswered`.
    """

    accuracy: Proportion
    sensitivity: Proportion
    specificity: Proportion
    by_engine: Mapping[str, Proportion]
    unanswered: int


def score_study(answers: StudyAnswers, key: StudyKey) -> StudyScore:
    """Compare one reader's answers with the key.

    Raises InputRefused E_ANSWERS for answers of another study or to items that it does not have.
    """
    if answers.study != key.study or not answers.said.keys() <= key.engines.keys():
        raise InputRefused("E_ANSWERS", "The answers are those of another study.", "Give the key of the same export.")
    painted = {item: said == PAINTED for item, said in answers.said.items() if key.engines[item] is not None}
    real = {item: said == REAL for item, said in answers.said.items() if key.engines[item] is None}
    engines = sorted({engine for engine in key.engines.values() if engine is not None})
    return StudyScore(
        accuracy=proportion([*painted.values(), *real.values()]),
        sensitivity=proportion(list(painted.values())),
        specificity=proportion(list(real.values())),
        by_engine={
            engine: proportion([right for item, right in painted.items() if key.engines[item] == engine])
            for engine in engines
        },
        unanswered=len(key.engines) - len(answers.said),
    )


def proportion(right: Sequence[bool]) -> Proportion:
    """The share of those that are right."""
    if not right:
        return Proportion(0, 0, None, None, None)
    from scipy.stats import binomtest

    result = binomtest(sum(right), len(right))
    interval = result.proportion_ci(confidence_level=0.95, method="wilson")
    return Proportion(sum(right), len(right), sum(right) / len(right), float(interval.low), float(interval.high))


def score_table(scores: Sequence[StudyScore]) -> Table:
    """One row for each reader, numbered in the order given."""
    table = Table(
        title="Can you tell?",
        caption="Right of all, share [95 % Wilson interval]. Sensitivity: painted called painted; specificity: real "
        "called real. Guessing gives 0.5: an accuracy whose interval lies above it means that this reader can tell.",
        caption_justify="left",
    )
    engines = sorted({engine for score in scores for engine in score.by_engine})
    table.add_column("reader")
    for heading in ("accuracy", "sensitivity", "specificity", *engines, "unanswered"):
        table.add_column(heading, justify="right")
    for number, score in enumerate(scores, start=1):
        shares = [score.accuracy, score.sensitivity, score.specificity, *(score.by_engine[name] for name in engines)]
        table.add_row(str(number), *(_told(share) for share in shares), str(score.unanswered))
    return table


def score_json(scores: Sequence[StudyScore]) -> list[dict[str, Any]]:
    """The scores as plain JSON values, in the order given."""
    from dataclasses import asdict

    return [asdict(score) for score in scores]


def _told(share: Proportion) -> str:
    if share.share is None:
        return "-"
    return f"{share.right}/{share.n} {share.share:.2f} [{share.low:.2f}, {share.high:.2f}]"
