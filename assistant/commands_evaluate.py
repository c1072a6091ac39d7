"""`bodymaps evaluate` and `bodymaps benchmark`: how good and how fast. Light to import."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assistant.terminal import print_json, progress_bar, tell

if TYPE_CHECKING:
    from assistant.language.evaluate import RequestScore
    from vision.benchmark import CaseResult

WIDE = 160
"""Columns of a table that goes into a file or pipe."""

evaluate_app = typer.Typer(help="Measure how good the answers are.", no_args_is_help=True)
JSONFlag = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(evaluate_app, name="evaluate")
    app.command()(benchmark)
    app.command(name="benchmark-opening")(benchmark_opening)


@evaluate_app.command()
def cases(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="CASES...", help="Case folders, or folders of them: ct.nii.gz with reference masks."),
    ],
    order: Annotated[
        str | None, typer.Option(help="What the integers of label maps mean: abdomenatlas1.1 or universal32.")
    ] = None,
    annotated: Annotated[
        str | None, typer.Option(help="What every case annotates (liver,spleen); else what its reference holds.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write scores.csv and evaluation.json there.")] = None,
    overlays: Annotated[
        Path | None, typer.Option(help="Write a picture of each case there: reference beside prediction.")
    ] = None,
    json: JSONFlag = False,
) -> None:
    """Score the installed model on cases with reference masks: Dice, surface Dice, volume error, lesions invented."""
    from assistant.api import default_segmenter
    from vision.benchmark import evaluate_cases, evaluation_json, find_cases, write_evaluation

    known = None if annotated is None else frozenset(name.strip() for name in annotated.split(",") if name.strip())
    found = find_cases(folders, annotated=known)

    def keep(result: CaseResult) -> None:
        if overlays is not None:
            from assistant.overlays import write_comparison

            write_comparison(
                overlays / f"{result.case}.png",
                ct=result.reference.ct,
                reference=result.reference.masks,
                predicted=result.predicted,
            )

    with progress_bar() as progress:
        evaluation = evaluate_cases(found, default_segmenter(), order=order, progress=progress, keep=keep)
    if json:
        print_json(evaluation_json(evaluation))
    else:
        from vision.benchmark import case_table, lesion_table, structure_table, summarise

        _print_table(case_table(evaluation.scores))
        _print_table(structure_table(summarise(evaluation.scores)))
        if evaluation.lesions:
            _print_table(lesion_table(evaluation))
    for case, missing in evaluation.unsegmented.items():
        if missing:
            tell(f"{case}: annotated, but not segmented by {evaluation.segmenter}: {', '.join(missing)}")
    if out is not None:
        tell(f"Saved to {write_evaluation(evaluation, out)}")


@evaluate_app.command()
def requests(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .jsonl of requests: text and wanted structure.")],
    json: JSONFlag = False,
) -> None:
    """Score the planner on free-text requests: which name exactly the structures wanted."""
    from assistant.api import default_planner
    from assistant.language.evaluate import read_requests, score_requests

    score = score_requests(read_requests(file), default_planner())
    if json:
        print_json(_plain(score))
        return
    typer.echo(
        f"{score.right} of {score.n} requests name exactly the structures wanted: {score.share:.1%} "
        f"(95 % interval {score.low:.1%} to {score.high:.1%}, planner {score.planner})"
    )
    for plain, count in Counter(miss.request.plain for miss in score.misses).most_common():
        typer.echo(f"  missed {count} of {plain}")


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
        _print_table(benchmark_table(timed))
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
        _print_table(opening_table(timed))


def _plain(score: RequestScore) -> dict[str, Any]:
    """A score as JSON values."""
    return {
        "planner": score.planner,
        "n": score.n,
        "right": score.right,
        "share": score.share,
        "interval": [score.low, score.high],
        "misses": [
            {"text": miss.request.text, "wanted": sorted(miss.request.wanted), "found": sorted(miss.found)}
            for miss in score.misses
        ],
    }


def _print_table(table: Any) -> None:
    """Print a table to stdout, as wide as the terminal, or wide enough for a file."""
    import sys

    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else WIDE).print(table)
