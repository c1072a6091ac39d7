"""Which questions are asked, shares with their 95 % intervals, and the difference of two ways of answering."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

RESAMPLES = 4000
Item = TypeVar("Item")


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most `most` of the items, spread evenly over all of them, in order."""
    count = min(most, len(items))
    return [items[number * len(items) // count] for number in range(count)]


@dataclass(frozen=True)
class Share:
    """`right` of `n`, with the 95 % Wilson interval; without any, nothing is known."""

    n: int
    right: int
    low: float | None
    high: float | None

    @property
    def share(self) -> float | None:
        """In [0, 1], None of none."""
        return self.right / self.n if self.n else None


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences, with its 95 % percentile bootstrap interval; None of none."""

    n: int
    mean: float | None
    low: float | None
    high: float | None


def share_of(right: Sequence[bool]) -> Share:
    """The share of those that are right (Wilson 1927)."""
    if not right:
        return Share(0, 0, None, None)
    from scipy.stats import binomtest

    interval = binomtest(sum(right), len(right)).proportion_ci(confidence_level=0.95, method="wilson")
    return Share(len(right), sum(right), interval.low, interval.high)


def difference_of(
    first: Sequence[float], second: Sequence[float], *, groups: Sequence[str | None], seed: int = 0
) -> Difference:
    """First minus second, question by question; questions of one group (one CT) are drawn together.

    A question whose group is None stands alone. Raises ValueError for sequences of different lengths.
    """
    if not len(first) == len(second) == len(groups):
        raise ValueError(f"{len(first)}, {len(second)} and {len(groups)} values are no pairs")
    if not first:
        return Difference(0, None, None, None)
    each = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    names = [f"alone {number}" if group is None else f"in {group}" for number, group in enumerate(groups)]
    _, member = np.unique(names, return_inverse=True)
    sums, counts = np.bincount(member, weights=each), np.bincount(member)
    drawn = np.random.default_rng(seed).integers(0, len(sums), (RESAMPLES, len(sums)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Difference(len(each), float(each.mean()), float(low), float(high))


def share_text(share: Share) -> str:
    """As in '93.1 % [90.2, 95.3]', a dash for none."""
    if share.share is None or share.low is None or share.high is None:
        return "-"
    return f"{100 * share.share:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def difference_text(difference: Difference) -> str:
    """In points, as in '+12.0 [8.1, 16.2]', a dash for none."""
    if difference.mean is None or difference.low is None or difference.high is None:
        return "-"
    return f"{100 * difference.mean:+.1f} [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"
