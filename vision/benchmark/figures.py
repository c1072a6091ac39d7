"""Figures of an evaluation, drawn by matplotlib without a display."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vision.benchmark.evaluate import CaseScore
from vision.benchmark.metrics import TOLERANCE_MM
from vision.benchmark.reliability import Reliability
from vision.extras import require_packages
from vision.io import write_bytes
from vision.structures import by_name, names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DICE_PICTURE = "dice.png"
SURFACE_PICTURE = "surface_dice.png"
RELIABILITY_PICTURE = "reliability.png"
DPI = 120
FEWEST_FOR_A_BOX = 5
"""A box has five numbers; with fewer values the dots alone say more."""
GREY, BLUE = "#8a8a8a", "#2f6db5"


def require_matplotlib() -> None:
    """Raise UsageError E_EXTRA when figures cannot be drawn, before the work of hours."""
    require_packages("A figure", "matplotlib", install="matplotlib")


def write_figures(scores: Sequence[CaseScore], out: Path) -> list[Path]:
    """Draw Dice and surface Dice of every structure, a dot for each case and a box from five cases on, as PNG."""
    drawn = (
        (DICE_PICTURE, "Dice", [score.dice for score in scores]),
        (SURFACE_PICTURE, f"Surface Dice at {TOLERANCE_MM:g} mm", [score.surface_dice for score in scores]),
    )
    structures = [score.structure for score in scores]
    return [save_figure(_strips(label, structures, values), out / file) for file, label, values in drawn]


def write_reliability_figure(reliability: Reliability, out: Path) -> Path:
    """Draw confidence against Dice: a dot for each mask, the bins with their n, and the line of perfect agreement."""
    figure, axes = sheet(5.4, 5.4)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="perfect agreement")
    dots = np.array([(mask.confidence, mask.dice) for mask in reliability.masks]).reshape(-1, 2)
    axes.scatter(
        dots[:, 0], dots[:, 1], s=12, color=GREY, alpha=0.5, linewidths=0, label=f"masks (n = {reliability.n})"
    )
    bins = [(row.n, row.confidence, row.dice.mean) for row in reliability.bins if row.dice.mean is not None]
    axes.plot(
        [confidence for _, confidence, _ in bins],
        [dice for _, _, dice in bins],
        color=BLUE,
        marker="o",
        label=f"bins (expected calibration error {reliability.expected_error:.3f})",
    )
    for n, confidence, dice in bins:
        axes.annotate(f"{n}", (confidence, dice), xytext=(5, -11), textcoords="offset points", size=8)
    lowest = math.floor(10 * dots.min(initial=0.9)) / 10
    axes.set(
        xlim=(lowest, 1.01), ylim=(lowest, 1.01), xlabel="Confidence of the mask (expected)", ylabel="Dice (observed)"
    )
    axes.set_aspect("equal")
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    return save_figure(figure, out / RELIABILITY_PICTURE)


def _strips(label: str, structures: Sequence[str], values: Sequence[float]) -> Figure:
    """One row for each structure in the order of the table; dots are spread by their own number, so always alike."""
    rows = {
        name: [value for structure, value in zip(structures, values, strict=True) if structure == name]
        for name in names()
        if name in structures
    }
    kept = {name: [value for value in row if not math.isnan(value)] for name, row in rows.items()}
    figure, axes = sheet(7.0, 1.2 + 0.32 * max(1, len(kept)))
    for row, (name, points) in enumerate(kept.items()):
        colour = np.asarray(by_name(name).colour) / 255
        if len(points) >= FEWEST_FOR_A_BOX:
            axes.boxplot(points, positions=[row], orientation="horizontal", widths=0.6, showfliers=False)
        spread = 0.22 * np.sin(2.4 * np.arange(len(points)))
        axes.scatter(points, row + spread, s=16, color=[colour], edgecolors="#333333", linewidths=0.4, zorder=3)
    axes.set_yticks(range(len(kept)), [f"{by_name(name).spoken} (n = {len(row)})" for name, row in kept.items()])
    axes.set(xlim=(-0.02, 1.02), ylim=(max(1, len(kept)) - 0.4, -0.6), xlabel=label)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure


def sheet(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure and its axes, in inches, apart from any state of matplotlib's own."""
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, the same bytes for the same figure. Raises ResourceError."""
    picture = io.BytesIO()
    options: dict[str, Any] = {"format": "png", "dpi": DPI, "metadata": {"Software": None}}
    figure.savefig(picture, **options)
    return write_bytes(path, picture.getvalue())
