"""Whether a mask's confidence can be believed: confidence against Dice, mask by mask."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from vision.benchmark.calibration import fit_calibration
from vision.benchmark.evaluate import CaseScore
from vision.benchmark.files import DIGITS, interval_row, plain, write_csv, write_json
from vision.benchmark.metrics import Interval, bootstrap_interval
from vision.benchmark.summary import interval_text, number
from vision.errors import UsageError

BINS = 10
FEWEST_IN_BIN = 5
MASKS_FILE = "reliability.csv"
BINS_FILE = "reliability_bins.csv"
SUMMARY_FILE = "reliability.json"


@dataclass(frozen=True)
class MaskConfidence:
    """One mask that has both a confidence and a Dice; of a suspected lesion 1 if it is one and 0 if not."""

    case: str
    structure: str
    confidence: float
    dice: float


@dataclass(frozen=True)
class Bin:
    """Masks that follow each other in confidence: from `low` to `high`, both of a mask, and `confidence` their mean."""

    low: float
    high: float
    n: int
    confidence: float
    dice: Interval


@dataclass(frozen=True)
class Reliability:
    """How confidence and Dice agree over masks.

    `expected_error` is the expected calibration error (Naeini et al. 2015) in bins of equal numbers of masks (Nixon et
    al. 2019), because confidence crowds below 1: the distance of mean confidence and mean Dice of a bin, averaged over
    the masks; NaN without masks. `slope` and `intercept` are those of `fit_calibration`, None where masks are too few.
    """

    masks: tuple[MaskConfidence, ...]
    bins: tuple[Bin, ...]
    expected_error: float
    slope: float | None
    intercept: float | None
    unscored: int
    """Masks with voxels in which the segmenter says no confidence."""

    @property
    def n(self) -> int:
        """Number of masks."""
        return len(self.masks)

    @property
    def cases(self) -> int:
        """Number of cases that the masks are of: masks of one case are not independent."""
        return len({mask.case for mask in self.masks})


def measure_reliability(scores: Sequence[CaseScore], *, bins: int = BINS, seed: int = 0) -> Reliability:
    """Compare confidence with Dice in up to `bins` bins of at least five masks; masks without either are left out.

    Raises ValueError for fewer than one bin.
    """
    masks = [
        MaskConfidence(score.case, score.structure, score.confidence, score.dice)
        for score in scores
        if not (math.isnan(score.confidence) or math.isnan(score.dice))
    ]
    unscored = sum(math.isnan(score.confidence) and score.predicted_ml > 0 for score in scores)
    return reliability_of(masks, unscored=unscored, bins=bins, seed=seed)


def reliability_of(
    masks: Sequence[MaskConfidence], *, unscored: int = 0, bins: int = BINS, seed: int = 0
) -> Reliability:
    """How confidence and what came of it agree over some masks. Raises ValueError for fewer than one bin."""
    if bins < 1:
        raise ValueError(f"reliability needs at least 1 bin, got {bins}")
    masks = sorted(masks, key=lambda mask: mask.confidence)
    count = min(bins, max(1, len(masks) // FEWEST_IN_BIN))
    cuts = [len(masks) * number // count for number in range(count + 1)] if masks else []
    rows = [_bin(masks[first:last], seed) for first, last in itertools.pairwise(cuts)]
    gaps = [row.n * abs(row.confidence - row.dice.mean) for row in rows if row.dice.mean is not None]
    slope: float | None = None
    intercept: float | None = None
    with suppress(UsageError):
        slope, intercept = fit_calibration([mask.confidence for mask in masks], [mask.dice for mask in masks])
    return Reliability(
        masks=tuple(masks),
        bins=tuple(rows),
        expected_error=sum(gaps) / len(masks) if masks else math.nan,
        slope=slope,
        intercept=intercept,
        unscored=unscored,
    )


def reliability_table(reliability: Reliability) -> Table:
    """One row for each bin."""
    line = (
        "too few masks to fit a calibration"
        if reliability.slope is None or reliability.intercept is None
        else f"fitted on these masks: slope {reliability.slope:.3f}, intercept {reliability.intercept:.3f}"
    )
    table = Table(
        title="Confidence against Dice",
        caption=f"{reliability.n} masks of {reliability.cases} cases, {reliability.unscored} more without confidence; "
        f"expected calibration error {number(reliability.expected_error, 3)}; {line}. "
        "Masks of one case are not independent, so the intervals are too narrow.",
        caption_justify="left",
    )
    for heading in ("confidence", "n", "mean confidence", "mean Dice [95 % interval]"):
        table.add_column(heading, justify="right")
    for row in reliability.bins:
        cells = (f"{row.low:.3f} to {row.high:.3f}", str(row.n), number(row.confidence, 3))
        table.add_row(*cells, interval_text(row.dice, 3))
    return table


def reliability_json(reliability: Reliability) -> dict[str, Any]:
    """Everything but the single masks as JSON values."""
    return {
        "n": reliability.n,
        "cases": reliability.cases,
        "unscored": reliability.unscored,
        "expected_calibration_error": None if reliability.n == 0 else reliability.expected_error,
        "slope": reliability.slope,
        "intercept": reliability.intercept,
        "bins": [{**_bin_row(row), "values": list(row.dice.values)} for row in reliability.bins],
    }


def write_reliability(reliability: Reliability, out: Path) -> Path:
    """Write reliability.csv (a row for each mask), reliability_bins.csv and reliability.json; returns the folder."""
    write_csv(
        out / MASKS_FILE, ["case", "structure", "confidence", "dice"], [plain(mask) for mask in reliability.masks]
    )
    columns = ["bin_low", "bin_high", "confidence", "n", "mean", "median", "low", "high"]
    write_csv(out / BINS_FILE, columns, [_bin_row(row) for row in reliability.bins])
    write_json(out / SUMMARY_FILE, reliability_json(reliability))
    return out


def _bin(masks: Sequence[MaskConfidence], seed: int) -> Bin:
    dice = bootstrap_interval([mask.dice for mask in masks], seed)
    mean = statistics.fmean(mask.confidence for mask in masks)
    return Bin(masks[0].confidence, masks[-1].confidence, len(masks), mean, dice)


def _bin_row(row: Bin) -> dict[str, Any]:
    edges = {"bin_low": row.low, "bin_high": row.high, "confidence": row.confidence}
    return {**{name: round(value, DIGITS) for name, value in edges.items()}, **interval_row(row.dice)}
