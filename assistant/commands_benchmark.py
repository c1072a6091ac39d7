"""`bodymaps benchmark`: how fast. Light to import."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from assistant.model_option import ModelName
from assistant.terminal import print_json, print_table, progress_bar, tell
from vision.errors import UsageError

JSONFlag = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


class CTFirst(TyperGroup):
    """A group in which a CT in the place of a command means `answer`: `bodymaps benchmark CT`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        names = (*self.commands, *ctx.help_option_names)
        return super().parse_args(ctx, args if not args or args[0] in names else ["answer", *args])


benchmark_app = typer.Typer(
    cls=CTFirst,
    no_args_is_help=True,
    help="Measure how fast it is. 'bodymaps benchmark CT' times a whole answer.",
)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(benchmark_app, name="benchmark")
    app.command(name="benchmark-opening")(benchmark_opening)


@benchmark_app.command()
def answer(
    ct: Annotated[Path, typer.Argument(metavar="CT", help="NIfTI file, DICOM folder, or a zip of either.")],
    question: Annotated[str | None, typer.Option(help="What to ask first.")] = None,
    follow_up: Annotated[str | None, typer.Option(help="What to ask then, on the same open CT.")] = None,
    series: Annotated[str | None, typer.Option(help="Which DICOM series.")] = None,
    runs: Annotated[int, typer.Option(help="How many runs, each in a fresh process.")] = 3,
    json: JSONFlag = False,
) -> None:
    """Time a whole answer phase by phase, a follow-up, and the peak memory."""
    from assistant.benchmark import FOLLOW_UP, QUESTION, benchmark_ct, benchmark_table

    with progress_bar() as progress:
        timed = benchmark_ct(
            ct,
            question=question or QUESTION,
            follow_up=follow_up or FOLLOW_UP,
            series=series,
            runs=runs,
            progress=progress,
        )
    if json:
        print_json(timed.model_dump(mode="json"))
    else:
        print_table(benchmark_table(timed))
        tell(timed.runs[0].text)


@benchmark_app.command()
def speed(
    ct: Annotated[
        Path | None, typer.Option(metavar="CT", help="A CT of your own; without it, an analytic abdomen.")
    ] = None,
    shape: Annotated[str, typer.Option(help="Voxels of 1 mm of the analytic abdomen.")] = "512x512x300",
    model: ModelName = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; by default the best there is.")] = None,
    parts: Annotated[str, typer.Option(help="What to measure, separated by commas.")] = "model,slices,nnunet,engines",
    runs: Annotated[int, typer.Option(help="How many runs, each in a fresh process.")] = 3,
    slices: Annotated[str, typer.Option(help="Numbers of slices to time.")] = "50,100,200,300,500,700,1000",
    windows: Annotated[int, typer.Option(help="How many windows of nnU-Net to time.")] = 3,
    out: Annotated[Path | None, typer.Option(help="Write JSON, CSV and a picture there.")] = None,
    json: JSONFlag = False,
) -> None:
    """Time the model alone: all structures, one, a follow-up, memory; over slices; beside nnU-Net; by engine."""
    from assistant.api import DEFAULT_MODEL
    from vision.benchmark.figures import require_matplotlib
    from vision.benchmark.speed import SpeedPlan, benchmark_speed
    from vision.benchmark.speed_ct import make_speed_ct
    from vision.benchmark.speed_report import speed_tables, write_speed
    from vision.io import load_ct

    plan = SpeedPlan(
        model=model or DEFAULT_MODEL,
        device=device,
        parts=tuple(part.strip() for part in parts.split(",") if part.strip()),
        runs=runs,
        slices=_whole_numbers(slices, between=",", flag="--slices"),
        windows=windows,
    )
    sizes = _whole_numbers(shape, between="x", flag="--shape")
    if len(sizes) != 3:
        raise UsageError("E_NUMBERS", "--shape is not of three numbers.", "Write it as in --shape 512x512x300.")
    if out is not None and "slices" in plan.parts:
        require_matplotlib()
    with progress_bar() as progress:
        subject = make_speed_ct((sizes[0], sizes[1], sizes[2])) if ct is None else load_ct(ct, progress=progress)
        report = benchmark_speed(plan, subject, progress=progress)
    if json:
        print_json(asdict(report))
    else:
        for table in speed_tables(report):
            print_table(table)
    if out is not None:
        tell(f"Saved to {write_speed(report, out)}")


def benchmark_opening(
    ct: Annotated[Path, typer.Argument(metavar="CT", help="NIfTI file, DICOM folder, or a zip of DICOM.")],
    runs: Annotated[int, typer.Option(help="How many runs of each reader, each in a fresh process.")] = 5,
    json: JSONFlag = False,
) -> None:
    """Time how a CT is opened by the gate and by plain nibabel or pydicom, in turn."""
    from vision.benchmark.opening import benchmark_opening as measure
    from vision.benchmark.opening import opening_table

    with progress_bar() as progress:
        timed = measure(ct, runs=runs, progress=progress)
    if json:
        print_json(asdict(timed))
    else:
        print_table(opening_table(timed))


def _whole_numbers(text: str, *, between: str, flag: str) -> tuple[int, ...]:
    """Whole numbers from 1 with a sign between them. Raises UsageError E_NUMBERS."""
    words = [word.strip() for word in text.split(between)]
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise UsageError("E_NUMBERS", f"{flag} is not of whole numbers with {between!r} between them.", "See: --help.")
    return tuple(int(word) for word in words)
