"""`bodymaps report`: many CTs. Light to import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant import gate_options
from assistant.llm_options import LLMName, LoadIn4Bit, LoadIn8Bit, chosen_planner
from assistant.model_option import ModelName
from assistant.terminal import progress_bar, tell
from vision.io import Choices

if TYPE_CHECKING:
    from assistant.batch import BatchResult, TriedCase


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(report)


def report(
    cases: Annotated[list[Path], typer.Argument(help="CTs, folders of CTs, or a manifest (.csv, .jsonl).")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    question: Annotated[str, typer.Option(help="What to ask of every CT.")] = "Generate a report.",
    formats: Annotated[str, typer.Option("--format", help="Any of md,html,json.")] = "md,html,json",
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep what an earlier run finished; what failed is tried again.")
    ] = False,
    case_names: Annotated[
        bool, typer.Option("--case-names", help="Call cases after their files, which may be named after patients.")
    ] = False,
    max_failures: Annotated[int | None, typer.Option(metavar="N", help="End once this many cases have failed.")] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="End at the first case that fails.")] = False,
    timeout_per_case: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Fail a case that takes longer.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only open the CTs and say which would be refused; write nothing.")
    ] = False,
    num_parts: Annotated[int, typer.Option(help="Divide the cases among this many runs.")] = 1,
    part_id: Annotated[int, typer.Option(help="Which part this run does, from 0.")] = 0,
    model: ModelName = None,
    llm: LLMName = None,
    load_in_4bit: LoadIn4Bit = False,
    load_in_8bit: LoadIn8Bit = False,
    series: gate_options.Series = None,
    volume: gate_options.Volume = None,
    prefer: gate_options.Prefer = None,
    assume_orientation: gate_options.AssumeOrientation = None,
    fix_offset: gate_options.FixOffset = False,
    allow_gaps: gate_options.AllowGaps = False,
    resample: gate_options.Resample = False,
) -> None:
    """Report on many CTs: a folder for each, results.jsonl, summary.csv, run.json."""
    from assistant.api import named_segmenter
    from assistant.batch import run_batch, try_batch

    choices = Choices(series, volume, prefer, assume_orientation, fix_offset, allow_gaps, resample)
    if dry_run:
        with progress_bar() as progress:
            tried = try_batch(
                cases,
                out,
                num_parts=num_parts,
                part_id=part_id,
                case_names=case_names,
                choices=choices,
                progress=progress,
            )
        raise typer.Exit(_tell_tried(tried))
    with progress_bar() as progress:
        result = run_batch(
            cases,
            out,
            question=question,
            resume=resume,
            num_parts=num_parts,
            part_id=part_id,
            formats=[name.strip() for name in formats.split(",") if name.strip()],
            case_names=case_names,
            max_failures=1 if fail_fast else max_failures,
            timeout_s=timeout_per_case,
            choices=choices,
            segmenter=None if model is None else named_segmenter(model),
            planner=chosen_planner(llm, in_4bit=load_in_4bit, in_8bit=load_in_8bit),
            progress=progress,
        )
    _tell_result(result)
    raise typer.Exit(result.exit_code)


def _tell_tried(tried: list[TriedCase]) -> int:
    """Print a line for each case: its name, 'opens' or the refusal's code, warnings' codes; returns the exit code."""
    from assistant.batch.run import FAILED_EXIT_CODE

    for case in tried:
        typer.echo("\t".join([case.name, case.refusal.code if case.refusal else "opens", *case.warnings]))
    refused = sum(case.refusal is not None for case in tried)
    tell(f"{len(tried) - refused} would open, {refused} would be refused. Nothing was written.")
    return FAILED_EXIT_CODE if refused else 0


def _tell_result(result: BatchResult) -> None:
    left = f", {result.left} not begun" if result.left else ""
    tell(f"{result.done} done, {result.skipped} kept, {len(result.failures)} failed{left}. Results are in {result.out}")
    for case_id, code in result.failures.items():
        tell(f"  {case_id}: {code}")
    if result.opaque:
        tell("Cases have ids that tell nothing, in the order of the inputs; --case-names calls them after their files.")
