"""What a speed benchmark leaves: tables for people, CSV, JSON and a picture of seconds over slices."""

from __future__ import annotations

import io
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vision.benchmark.figures import require_matplotlib
from vision.benchmark.files import write_csv, write_json
from vision.benchmark.nnunet import FILTERS, OUTPUTS, WINDOW
from vision.benchmark.speed import FOLLOW_UP, ONE, SliceSpeed, SpeedReport
from vision.io import write_bytes

if TYPE_CHECKING:
    from rich.table import Table

JSON_FILE = "speed.json"
SLICES_FILE = "slices.csv"
SLICES_PICTURE = "slices.png"
ENGINES_FILE = "engines.csv"


def write_speed(report: SpeedReport, out: Path) -> Path:
    """Write speed.json, and as far as they were measured slices.csv, slices.png and engines.csv; returns the folder.

    Raises ResourceError, and UsageError E_EXTRA for the picture without matplotlib.
    """
    write_json(out / JSON_FILE, asdict(report))
    if report.slices:
        columns = [field.name for field in fields(SliceSpeed)]
        write_csv(out / SLICES_FILE, columns, [asdict(row) for row in report.slices])
        write_bytes(out / SLICES_PICTURE, _slices_picture(report))
    if report.engines:
        write_csv(out / ENGINES_FILE, list(report.engines[0]), list(report.engines))
    return out


def speed_tables(report: SpeedReport) -> list[Table]:
    """The figures for people, a table a part."""
    tables = [_summary(report)]
    if report.slices:
        tables.append(_slices(report))
    if report.engines:
        tables.append(_engines(report))
    return tables


def _summary(report: SpeedReport) -> Table:
    shape, spacing = " x ".join(map(str, report.shape)), " x ".join(f"{step:g}" for step in report.spacing_mm)
    segmenter = f" {report.model.segmenter}." if report.model else ""
    table = _table(
        f"{shape} voxels of {spacing} mm",
        ("what", "value"),
        caption=f"Median of {report.runs} runs, each in a fresh process; loading apart. {report.cores} cores, "
        f"{report.machine}, torch {report.torch}.{segmenter}",
    )
    model = report.model
    if model is not None:
        for words, value in (
            (f"all {model.structures} structures, {model.found} found, s", f"{model.everything:.2f}"),
            ("  of it the look at the whole scan, s", f"{model.encode:.2f}"),
            (f"one structure ({ONE}), nothing known before, s", f"{model.one:.2f}"),
            (f"then a follow-up ({FOLLOW_UP}), s", f"{model.follow_up:.2f}"),
            ("loading libraries and weights, s", f"{model.load:.2f}"),
            ("peak memory with all masks kept, MiB", _mib(model.everything_peak_mib)),
            ("peak memory of one structure and a follow-up, MiB", _mib(model.one_peak_mib)),
        ):
            table.add_row(words, value)
        if model.gpu_mib is not None:
            table.add_row("peak memory on the GPU, MiB", _mib(model.gpu_mib))
    if report.nnunet is not None:
        _add_nnunet(table, report, report.nnunet)
    for part, why in report.missing.items():
        table.add_row(part, why)
    return table


def _add_nnunet(table: Table, report: SpeedReport, measured: dict[str, Any]) -> None:
    table.add_section()
    grid = " x ".join(map(str, measured["grid"]))
    table.add_row(
        f"nnU-Net's setting: DynUNet {FILTERS[0]}..{FILTERS[-1]}, {WINDOW}-cubes, {OUTPUTS} outputs, random weights",
        f"{measured['windows']} windows on {grid}",
    )
    for name, total in measured["total"].items():
        table.add_row(
            f"  {name}, s: {measured['timed_windows']} windows timed, the others taken to cost the same", f"{total:.1f}"
        )
        if report.ratio is not None:
            table.add_row(f"  {name}, times as long as all structures here", f"{report.ratio[name]:.1f}")


def _slices(report: SpeedReport) -> Table:
    line = report.line
    fitted = (
        ""
        if line is None
        else f"{1000 * line.seconds_per_slice:.1f} ms a slice and {line.seconds_at_none:.1f} s; the line explains "
        f"{line.r2:.1%} of the variance."
    )
    table = _table("All structures over slices", ("slices", "look, s", "masks, s", "total, s", "peak, MiB"), fitted)
    for row in report.slices:
        seconds = (f"{value:.2f}" for value in (row.encode, row.masks, row.total))
        table.add_row(str(row.slices), *seconds, _mib(row.peak_mib))
    return table


def _engines(report: SpeedReport) -> Table:
    table = _table(
        "Engines, seconds",
        ("engine", "build", "coarse, first", "coarse", "Dice", "fine, first", "fine", "Dice"),
        caption=f"Median of {report.runs} calls after the first. Dice: mean over structures, masks against the first "
        "row's; the coarse pass over the whole scan, the fine one over the middle of it.",
    )
    for row in report.engines:
        if row["skipped"]:
            table.add_row(row["engine"], row["skipped"])
            continue
        table.add_row(
            row["engine"],
            *(f"{row[key]:.2f}" for key in ("build", "coarse_first")),
            f"{row['coarse']:.3f}",
            _dice(row["coarse_dice"]),
            f"{row['fine_first']:.2f}",
            f"{row['fine']:.3f}",
            _dice(row["fine_dice"]),
        )
    return table


def _table(title: str, columns: tuple[str, ...], caption: str) -> Table:
    from rich.table import Table

    table = Table(title=title, caption=caption, caption_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table


def _slices_picture(report: SpeedReport) -> bytes:
    """Seconds and peak memory over slices, and the fitted line, as PNG."""
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    slices = [row.slices for row in report.slices]
    left.plot(slices, [row.total for row in report.slices], "o", label="all structures")
    left.plot(slices, [row.encode for row in report.slices], "s", fillstyle="none", label="of it the look")
    if report.line is not None:
        line = report.line
        left.plot(
            slices,
            [line.seconds_at_none + line.seconds_per_slice * count for count in slices],
            label=f"{1000 * line.seconds_per_slice:.1f} ms a slice, R² {line.r2:.3f}",
        )
    left.set(ylabel="Seconds", ylim=(0, 1.1 * max(row.total for row in report.slices)))
    left.legend(frameon=False, fontsize=8)
    peaks = [row.peak_mib or float("nan") for row in report.slices]
    right.plot(slices, peaks, "o-")
    right.set(ylabel="Peak memory, MiB", ylim=(0, 1.1 * max((peak for peak in peaks if peak > 0), default=1.0)))
    for axes in (left, right):
        axes.set(xlabel="Slices", xlim=(0, 1.05 * max(slices)))
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    return picture.getvalue()


def _mib(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f}"


def _dice(value: float | None) -> str:
    return "no masks" if value is None else f"{value:.4f}"
