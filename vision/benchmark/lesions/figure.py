"""The FROC figure: one step curve a structure, with the intervals at the rates of the table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vision.benchmark.figures import GREY, save_figure, sheet
from vision.benchmark.lesions.froc import RATES, FrocCurve
from vision.benchmark.lesions.summary import ALL, LesionSummary
from vision.structures import by_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FROC_PICTURE = "froc.png"
MOST_CURVES = 8
SPREAD = 0.015
"""How far, as a share of a rate, the intervals of two curves stand beside each other."""


def write_froc_figure(summaries: Sequence[LesionSummary], out: Path) -> Path | None:
    """Draw the curves of all summaries that have lesions; None when none has. Raises UsageError E_EXTRA, ResourceError.

    Of more structures than eight those with the most lesions are drawn.
    """
    drawn = sorted(((row, row.froc) for row in summaries if row.froc), key=lambda pair: -pair[1].lesions)[:MOST_CURVES]
    if not drawn:
        return None
    figure, axes = sheet(7.0, 4.6)
    for position, (row, curve) in enumerate(drawn):
        _draw(axes, row.structure, curve, (1 + SPREAD) ** (position - len(drawn) / 2))
    axes.set_xscale("log", base=2)
    axes.set_xticks(RATES, [f"{rate:g}" for rate in RATES])
    axes.minorticks_off()
    axes.set(
        xlim=(RATES[0] / 1.2, RATES[-1] * 1.2),
        ylim=(-0.02, 1.02),
        xlabel="False positives a scan",
        ylabel="Sensitivity (95 % interval, scans drawn again)",
    )
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8)
    return save_figure(figure, out / FROC_PICTURE)


def _draw(axes: Axes, structure: str, curve: FrocCurve, shift: float) -> None:
    """A step curve that holds its last sensitivity to the right end, where no prediction is left to add."""
    colour = "#222222" if structure == ALL else tuple(np.asarray(by_name(structure).colour) / 255)
    name = ALL if structure == ALL else by_name(structure).spoken
    rates = [
        RATES[0] / 2,
        *(max(point.false_positives_per_scan, RATES[0] / 2) for point in curve.points),
        2 * RATES[-1],
    ]
    values = [0.0, *(point.sensitivity for point in curve.points)]
    label = f"{name} (n = {curve.lesions}/{curve.scans})"
    axes.step(rates, [*values, values[-1]], where="post", color=colour, linewidth=1.6, label=label)
    for rate, value in curve.at_rates.items():
        if value.low is not None and value.high is not None:
            axes.plot([rate * shift] * 2, [value.low, value.high], color=colour, linewidth=1, alpha=0.6)
    if not curve.confident:
        axes.plot(rates[-2], values[-1], marker="o", color=colour, markeredgecolor=GREY)
