"""The flag that chooses the model, the same for every command that segments."""

from __future__ import annotations

from typing import Annotated

import typer

ModelName = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME", help="Which installed model; 'bodymaps weights list' shows all."),
]
