"""`bodymaps synthesize growth` and `sheet`: painted tumours to look at. Light to import."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from assistant.case_options import Order
from assistant.terminal import tell
from assistant.tumour_options import Seed, Words, chosen_wish
from vision.errors import UsageError


def register(synthesize_app: typer.Typer) -> None:
    """Add the commands to those that synthesise."""
    synthesize_app.command()(growth)
    synthesize_app.command()(sheet)


def growth(
    ct: Annotated[Path, typer.Argument(metavar="CT", help="The CT: NIfTI, DICOM folder or zip.")],
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="Its organs: a label map, or a folder of masks.")],
    out: Annotated[Path, typer.Option(metavar="GIF", help="The animation to write.")],
    organ: Annotated[str, typer.Option(help="liver, pancreas, kidney or colon.")] = "liver",
    size_mm: Annotated[
        float | None, typer.Option(min=1.0, help="Diameter at the end; drawn from the organ's without it.")
    ] = None,
    words: Words = None,
    seed: Seed = 0,
    order: Order = None,
) -> None:
    """Animate a tumour that grows: one axial slice, with diameter and volume, by the cellular automaton."""
    from vision.io import load_ct, load_labels
    from vision.synthesis.tumours.growth import write_growth_in

    wish, _ = chosen_wish([organ], words)
    if size_mm is not None and wish.diameter_mm is not None:
        raise UsageError("E_TUMOUR_SIZE", "The words and --size-mm both say a size.", "Leave one out.")
    wish = wish if size_mm is None else replace(wish, diameter_mm=size_mm)
    tell(f"Saved {write_growth_in(out, load_ct(ct), load_labels(labels, order=order), wish=wish, seed=seed)}")


def sheet(
    inputs: Annotated[Path, typer.Argument(metavar="IN", help="Folder of the CTs that were painted into.")],
    painted: Annotated[Path, typer.Argument(metavar="OUT", help="Folder that 'synthesize IN OUT' wrote.")],
    png: Annotated[Path, typer.Option(metavar="PNG", help="The picture to write.")],
    only: Annotated[
        str | None, typer.Option(metavar="N,N", help="Only these tumours, by their numbers on the whole sheet.")
    ] = None,
    order: Order = None,
) -> None:
    """Show painted tumours: the tissue without, with, and with the outline; each with its number and facts."""
    from vision.benchmark.layouts import find_cases
    from vision.synthesis.tumours.folder import write_sheet

    tell(f"Saved {write_sheet(find_cases([inputs], order=order), painted, png, only=_numbers(only))}")


def _numbers(text: str | None) -> frozenset[int] | None:
    """'3,7' -> {3, 7}."""
    if text is None:
        return None
    try:
        return frozenset(int(word) for word in text.split(","))
    except ValueError:
        raise UsageError("E_NO_TUMOUR", "--only is not a list of numbers.", "Write it as 3,7.") from None
