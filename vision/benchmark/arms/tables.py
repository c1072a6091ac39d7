"""The comparison as tables that a person reads."""

from __future__ import annotations

from rich.table import Table

from vision.benchmark.arms.cases import ARMS
from vision.benchmark.arms.compare import ArmsComparison
from vision.benchmark.lesions.estimate import Estimate
from vision.benchmark.lesions.tables import told
from vision.benchmark.metrics import FEW_VALUES

DIGITS = 2


def arms_tables(comparison: ArmsComparison) -> list[Table]:
    """Both arms and their difference; then every seed."""
    return [_difference_table(comparison), _seed_table(comparison)]


def _difference_table(comparison: ArmsComparison) -> Table:
    seeds = len({run.seed for run in comparison.runs})
    steps = {arm: sorted(run.steps for run in comparison.runs if run.arm == arm) for arm in ARMS}
    trained = ", ".join(f"{arm} {counts[0]} to {counts[-1]}" for arm, counts in steps.items())
    table = Table(
        title="Real against synthetic",
        caption=f"Synthetic: {comparison.engine} in the same CTs, whose annotated lesions it never saw. Mean over "
        f"{seeds} seeds [95 % interval, seeds and scans drawn again], paired by scan and seed. Learned from "
        f"{comparison.training} cases, tested on {comparison.tested} others; steps of a training: {trained}. "
        f"With fewer than {FEW_VALUES} scans or seeds the intervals are too narrow.",
        caption_justify="left",
        pad_edge=False,
    )
    table.add_column("metric")
    for heading in ("real", "synthetic", "synthetic - real", "n/scans"):
        table.add_column(heading, justify="right")
    for row in comparison.metrics:
        shown = (told(row.real, DIGITS), told(row.synthetic, DIGITS), _signed(row.difference))
        table.add_row(row.metric, *shown, f"{row.real.n}/{row.real.scans}")
    return table


def _seed_table(comparison: ArmsComparison) -> Table:
    seeds = sorted({run.seed for run in comparison.runs})
    table = Table(title="Seed by seed, real / synthetic", pad_edge=False)
    table.add_column("metric")
    for seed in seeds:
        table.add_column(f"seed {seed}", justify="right")
    for row in comparison.metrics:
        table.add_row(row.metric, *(f"{one:.{DIGITS}f} / {other:.{DIGITS}f}" for one, other in row.by_seed))
    return table


def _signed(value: Estimate) -> str:
    """A difference with its sign, and its interval where there is one."""
    assert value.value is not None, "a metric is compared where it has values"
    text = f"{value.value:+.{DIGITS}f}"
    if value.low is None or value.high is None:
        return text
    return f"{text} [{value.low:+.{DIGITS}f}, {value.high:+.{DIGITS}f}]"
