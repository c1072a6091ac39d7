"""The `bodymaps` command. Light to import: torch, nibabel and gradio load only when a command needs them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from assistant import (
    commands_data,
    commands_evaluate,
    commands_report,
    commands_synthesize,
    commands_train,
    commands_weights,
    gate_options,
)
from assistant.llm_options import LLMName, LoadIn4Bit, LoadIn8Bit, chosen_planner, chosen_quantisation
from assistant.logs import install_clean_logs
from assistant.model_option import ModelName
from assistant.terminal import print_json, progress_bar, run_command, tell
from vision.errors import UsageError
from vision.io import Choices

app = typer.Typer(
    name="bodymaps",
    help="Open an abdominal CT and talk to it: masks, boxes, measurements and reports, offline. Research only.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
commands_report.register(app)
commands_evaluate.register(app)
commands_weights.register(app)
commands_train.register(app)
commands_synthesize.register(app)
commands_data.register(app)

CTPath = Annotated[Path, typer.Argument(metavar="CT", help="NIfTI file, DICOM folder, or a zip of either.")]
JSONFlag = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
OutFolder = Annotated[Path, typer.Option(help="Folder to write to.")]


@app.command()
def ask(
    ct: CTPath,
    question: Annotated[str, typer.Argument(help="What you want to know, in your own words.")],
    out: Annotated[Path | None, typer.Option(help="Write answer.json, masks and a preview there.")] = None,
    json: JSONFlag = False,
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
    """Ask one question about one CT."""
    from assistant.api import named_segmenter, open_ct

    choices = Choices(series, volume, prefer, assume_orientation, fix_offset, allow_gaps, resample)
    with progress_bar() as progress:
        planner = chosen_planner(llm, in_4bit=load_in_4bit, in_8bit=load_in_8bit)
        segmenter = None if model is None else named_segmenter(model)
        conversation = open_ct(ct, choices=choices, segmenter=segmenter, planner=planner, progress=progress)
        answer = conversation.ask(question, progress=progress)
    for warning in answer.record.warnings:
        tell(f"{warning.code}: {warning.text}")
    # Said before it is saved: an answer is not lost with the disk.
    if json:
        tell(answer.text)
    else:
        typer.echo(answer.text)
        tell(answer.record.intended_use)
    saved = answer.save(out) if out else None
    if json:
        # Only the saved record knows the files of its masks.
        typer.echo(
            (saved / "answer.json").read_text(encoding="utf-8") if saved else answer.record.model_dump_json(indent=1)
        )
    if saved:
        tell(f"Saved to {saved}")


@app.command()
def inspect(
    ct: CTPath,
    json: JSONFlag = False,
    series: gate_options.Series = None,
    volume: gate_options.Volume = None,
    prefer: gate_options.Prefer = None,
    assume_orientation: gate_options.AssumeOrientation = None,
    fix_offset: gate_options.FixOffset = False,
    allow_gaps: gate_options.AllowGaps = False,
    resample: gate_options.Resample = False,
) -> None:
    """Say what is in a CT file and what can be done with it; nothing is segmented."""
    from assistant.inspection import inspect_ct, inspection_text

    choices = Choices(series, volume, prefer, assume_orientation, fix_offset, allow_gaps, resample)
    inspected = inspect_ct(ct, choices=choices)
    if json:
        print_json(inspected)
    else:
        typer.echo(inspection_text(inspected))


@app.command()
def info(json: JSONFlag = False) -> None:
    """List what this installation can segment, its model and its versions."""
    from assistant.information import describe_installation, installation_text

    described = describe_installation()
    if json:
        print_json(described)
    else:
        typer.echo(installation_text(described))


@app.command()
def demo(
    ct: Annotated[Path | None, typer.Option(metavar="CT", help="Your own CT; without it, one of known truth.")] = None,
    out: OutFolder = Path("out/demo"),
) -> None:
    """Ask a CT four questions; answers, masks, a picture and a report are kept."""
    from assistant.demo import run_demo

    run_demo(ct, out)


@app.command()
def chat(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 7860,
    auth: Annotated[str | None, typer.Option(metavar="USER:PASSWORD", help="Who may enter.")] = None,
    model: ModelName = None,
    llm: LLMName = None,
    load_in_4bit: LoadIn4Bit = False,
    load_in_8bit: LoadIn8Bit = False,
) -> None:
    """Open the chat in a browser, on this machine only unless told otherwise."""
    from assistant.serve import launch

    quantisation = chosen_quantisation(llm, in_4bit=load_in_4bit, in_8bit=load_in_8bit)
    launch(host=host, port=port, auth=_credentials(auth), model=model, llm=llm, quantisation=quantisation)


def _credentials(auth: str | None) -> tuple[str, str] | None:
    if auth is None:
        return None
    user, colon, password = auth.partition(":")
    if not (user and colon and password):
        raise UsageError("E_AUTH", "--auth is not USER:PASSWORD.", "Write it as in --auth anna:secret.")
    return user, password


def main() -> None:
    """Run the command and end with its exit code; no traceback ever reaches a person."""
    install_clean_logs()
    sys.exit(run_command(app))


if __name__ == "__main__":
    main()
