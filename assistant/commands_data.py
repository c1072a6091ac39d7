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


@data_app.callback()
def _group() -> None:
    """Make the data that language models are taught from."""


@data_app.command()
def instructions(
    out: Annotated[Path, typer.Option(help="File of JSON lines to write.")],
    count: Annotated[int, typer.Option(help="How many rows.")] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same rows.")] = 0,
    kinds: Annotated[str, typer.Option(help="Some of plan, words, visual, comma between.")] = "plan",
) -> None:
    """Write requests in many people's words with their plans, as chat rows; templates held out are marked."""
    from assistant.language.instructions.write import chosen_kinds, plan_maker, write_rows

    makers = {"plan": plan_maker}
    chosen = {name: makers[name](seed) for name in chosen_kinds(kinds)}
    with progress_bar() as progress:
        summary = write_rows(out, count=count, seed=seed, makers=chosen, progress=progress)
    _show(summary.table())
    tell(f"Saved {out}")


def _show(lines: list[dict[str, object]]) -> None:
    from rich.table import Table

    table = Table(title="Rows")
    for heading in lines[0]:
        table.add_column(heading.replace("_", " "))
    for line in lines:
        table.add_row(*(str(value) for value in line.values()))
    print_table(table)
