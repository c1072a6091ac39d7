"""The flags with which a person decides what a file leaves open, the same for every command that opens a CT."""

from __future__ import annotations

from typing import Annotated

import typer

PANEL = "When a file leaves room"

Series = Annotated[
    str | None, typer.Option(help="Which DICOM series, by number or id from 'inspect'.", rich_help_panel=PANEL)
]
Volume = Annotated[int | None, typer.Option(help="Which volume of a 4D NIfTI, from 0.", rich_help_panel=PANEL)]
Prefer = Annotated[
    str | None, typer.Option(help="Which of two contradicting orientations: qform or sform.", rich_help_panel=PANEL)
]
AssumeOrientation = Annotated[
    str | None, typer.Option(help="Axes of a NIfTI without orientation, such as LPS.", rich_help_panel=PANEL)
]
FixOffset = Annotated[bool, typer.Option("--fix-offset", help="Subtract the 1024 added to HU.", rich_help_panel=PANEL)]
AllowGaps = Annotated[
    bool, typer.Option("--allow-gaps", help="Fill missing DICOM slices from neighbours.", rich_help_panel=PANEL)
]
Resample = Annotated[
    bool, typer.Option("--resample", help="Straighten a tilted, sheared or uneven CT.", rich_help_panel=PANEL)
]
