"""`bodymaps synthesize`: CTs that no patient had."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assistant.terminal import tell

synthesize_app = typer.Typer(help="Make CTs of known truth.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group to the program."""
    app.add_typer(synthesize_app, name="synthesize")


@synthesize_app.command()
def anatomy(
    maps: Annotated[Path, typer.Argument(metavar="MAPS", help="Folder of label maps without CT, with index.csv.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    count: Annotated[int, typer.Option(help="How many CTs.")] = 8,
    seed: Annotated[int, typer.Option(help="The same seed gives the same CTs.")] = 0,
) -> None:
    """Draw CTs from label maps: cases with masks, their list for training, and a sheet to look at."""
    from vision.synthesis.anatomy import synthesise_folder

    tell(f"Saved {synthesise_folder(maps, out, count=count, seed=seed)}")
