"""`bodymaps data`: what language models are taught from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assistant.terminal import print_table, progress_bar, tell

data_app = typer.Typer(help="Make the data that language models are taught from.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group to the program."""
    app.add_typer(data_app, name="data")


OutFolder = Annotated[Path, typer.Option(help="Folder to write to.")]


@data_app.command()
def instructions(
    out: Annotated[Path, typer.Option(help="File of JSON lines to write.")],
    count: Annotated[int, typer.Option(help="How many rows.")] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same rows.")] = 0,
    kinds: Annotated[str, typer.Option(help="Some of plan, words, visual, comma between.")] = "plan,words",
    cases: Annotated[
        Path | None, typer.Option(help="List of CTs with their truth, for visual questions; see 'data cases'.")
    ] = None,
) -> None:
    """Write chat rows: requests in many people's words with their plans, answers over facts, questions about CTs."""
    from assistant.language.instructions.write import makers_of, write_rows

    with progress_bar() as progress:
        makers = makers_of(kinds, seed=seed, cases=cases)
        summary = write_rows(out, count=count, makers=makers, progress=progress)
    _show(summary.table())
    tell(f"Saved {out}")


@data_app.command()
def cases(
    out: OutFolder,
    count: Annotated[int, typer.Option(help="How many CTs.")] = 24,
    seed: Annotated[int, typer.Option(help="The same seed gives the same CTs.")] = 0,
) -> None:
    """Make phantoms that differ in what visual questions ask for, with the truth of each."""
    from assistant.language.instructions.cases import write_phantom_cases

    with progress_bar() as progress:
        saved = write_phantom_cases(out, count=count, seed=seed, progress=progress)
    tell(f"Saved {saved}")


@data_app.command()
def truth(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Folders of CTs with masks.")],
    out: Annotated[Path, typer.Option(help="List of cases to write, as JSON.")],
) -> None:
    """List what masks tell of visual questions: region, side of a kidney lesion, size of spleen and kidneys."""
    from assistant.language.instructions.labelled import write_labelled_cases

    with progress_bar() as progress:
        saved = write_labelled_cases(folders, out, progress=progress)
    tell(f"Saved {saved}")


@data_app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="File of questions, conversations or findings of another project.")],
    layout: Annotated[str, typer.Option(help="m3d_vqa, ct_chat, deep_tumor_vqa or abdomen_atlas.")],
    out: Annotated[Path, typer.Option(help="File of JSON lines to write.")],
) -> None:
    """Turn data of other projects into the same chat rows."""
    from assistant.language.instructions.readers import convert_file

    _show(convert_file(source, layout, out).table())
    tell(f"Saved {out}")


def _show(lines: list[dict[str, object]]) -> None:
    from rich.table import Table

    table = Table(title="Rows")
    for heading in lines[0]:
        table.add_column(heading.replace("_", " "))
    for line in lines:
        table.add_row(*(str(value) for value in line.values()))
    print_table(table)
