"""`bodymaps weights`: public checkpoints made into models, and which models there are. Light to import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant.terminal import print_table, tell

if TYPE_CHECKING:
    from rich.table import Table

    from vision.models.checkpoints.report import LoadReport

SHOWN = 8
"""Tensors of one kind that the table of a report names."""

weights_app = typer.Typer(help="Models: convert public checkpoints, list what is installed.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(weights_app, name="weights")


@weights_app.command()
def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .pth or .pt file as it was published.")],
    name: Annotated[str | None, typer.Option(help="What to call the model; else after its kind.")] = None,
    text_encoding: Annotated[
        Path | None, typer.Option(help="Embeddings of the class names, for a checkpoint without them.")
    ] = None,
    order: Annotated[
        str | None,
        typer.Option(
            help="Order of the classes where the file leaves it open: abdomenatlas1.1, universal25, universal32, "
            "abdomenatlas1.0."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write to; else your own models.")] = None,
) -> None:
    """Make a SuPreM, Universal Model or VISTA3D checkpoint a model, offline; then use it with --model.

    Nothing in the file is run: it is read as tensors or refused. Exit code 6 where it does not fit.
    """
    from vision.models.checkpoints.convert import open_checkpoint, write_model

    checkpoint = open_checkpoint(file, text_encoding=text_encoding, order=order)
    print_table(report_table(checkpoint.kind, checkpoint.report))
    name = name or checkpoint.kind
    description = write_model(checkpoint, name, out)
    tell(f"Saved {description}")
    if out is None:
        tell(f"Use it with --model {name}. Its card says what to check first: {description.with_suffix('.md')}")


@weights_app.command(name="list")
def list_models() -> None:
    """List the installed models: name, kind, structures, where each lies."""
    from rich.table import Table

    from vision.models.registry import model_folders, read_models

    table = Table("model", "kind", "structures", "sha256", "weights")
    for model in read_models().values():
        state = "there" if model.file.is_file() else "missing"
        table.add_row(model.name, model.kind, str(len(model.channels)), model.sha256[:8], state)
    print_table(table)
    for folder in model_folders():
        tell(f"Models are looked for in {folder}")


def report_table(kind: str, report: LoadReport) -> Table:
    """How the tensors of a checkpoint fit its network: counts, and the first names of those that do not."""
    from rich.table import Table
    from rich.text import Text

    misfits = tuple(f"{each.key}: {each.found}, not {each.wanted}" for each in report.mismatched)
    rows = (
        ("matched", len(report.matched), "go into the model", ()),
        ("missing", len(report.missing), "the network's, not in the file", report.missing),
        ("mismatched", len(misfits), "of another shape or format", misfits),
        ("unused", len(report.unused), "known parts that are not run", ()),
        ("unexpected", len(report.unexpected), "in the file, not known", report.unexpected),
    )
    table = Table("tensors", "number", "what they are", "first of them", title=kind)
    for word, count, meaning, names in rows:
        shown = [_printable(name) for name in names[:SHOWN]]
        more = [f"and {count - SHOWN} more"] if len(names) > SHOWN else []
        table.add_row(word, str(count), meaning, Text("\n".join([*shown, *more])))
    return table


def _printable(name: str) -> str:
    """A name of a file's own making, short and without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:100])
