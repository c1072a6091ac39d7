"""`bodymaps benchmark`: how fast. Light to import."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from assistant.terminal import print_json, print_table, progress_bar, tell

JSONFlag = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(benchmark)
    app.command(name="benchmark-opening")(benchmark_opening)


def benchmark(
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
