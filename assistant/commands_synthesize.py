"""`bodymaps synthesize`: tumours and CTs that no patient had."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from assistant import commands_reader_study, commands_tumour_pictures
from assistant.case_options import Order as LabelOrder
from assistant.terminal import progress_bar, tell
from assistant.tumour_options import DiffusionWeights, EngineName, Organs, Seed, Shapes, SizeMM, Words, chosen_order

if TYPE_CHECKING:
    from vision.synthesis.tumours.gate import SegmenterGate
    from vision.synthesis.tumours.protocol import Organ

FAILED_EXIT_CODE = 4
DEFAULT_COMMAND = "tumours"


class TumoursByDefault(TyperGroup):
    """`synthesize IN OUT` is `synthesize tumours IN OUT`; a folder called as a command is written ./anatomy."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the command where the first word is none, and no help is asked for."""
        named = not args or args[0] in self.commands or args[0] in self.get_help_option_names(ctx)
        return super().parse_args(ctx, args if named else [DEFAULT_COMMAND, *args])


synthesize_app = typer.Typer(
    cls=TumoursByDefault, help="Make CTs of known truth: tumours without another command.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the group to the program."""
    app.add_typer(synthesize_app, name="synthesize")
    commands_tumour_pictures.register(synthesize_app)
    commands_reader_study.register(synthesize_app)


@synthesize_app.command()
def tumours(
    inputs: Annotated[Path, typer.Argument(metavar="IN", help="Folder of CTs with organ masks, in any known layout.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to, in AbdomenAtlas's layout.")],
    engine: EngineName = "handcrafted",
    shapes: Shapes = None,
    weights: DiffusionWeights = None,
    organ: Organs = None,
    count: Annotated[int, typer.Option(help="Tumours a CT.")] = 1,
    size_mm: SizeMM = None,
    words: Words = None,
    confusers: Annotated[
        int, typer.Option(help="Vessels, bile ducts, gas and fat a CT that look like tumours; no mask holds them.")
    ] = 0,
    gate: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Keep only tumours that this model marks in 70 % of their voxels."),
    ] = None,
    seed: Seed = 0,
    order: LabelOrder = None,
    sheet: Annotated[Path | None, typer.Option(metavar="PNG", help="Also write a picture, without and with.")] = None,
) -> None:
    """Paint tumours into CTs: each with masks and facts. A run that was stopped goes on where it was."""
    from vision.benchmark.layouts import find_cases
    from vision.synthesis.tumours.engines import make_engine
    from vision.synthesis.tumours.folder import synthesise_folder, write_sheet

    asked = chosen_order(organ or [], size_mm, words, count=count, confusers=confusers)
    painter = make_engine(engine, shapes=shapes, weights=weights)
    choosy = None if gate is None else _gate(gate, asked.organs)
    cases = find_cases([inputs], order=order)
    with progress_bar() as progress:
        result = synthesise_folder(cases, out, asked, engine=painter, seed=seed, gate=choosy, progress=progress)
    for number, error in result.refused:
        tell(f"Case {number}: {error}")
    tell(f"Painted {result.painted} CTs, {result.finished_before} were finished before, {len(result.refused)} refused.")
    if sheet is not None:
        tell(f"Saved {write_sheet(cases, out, sheet)}")
    raise typer.Exit(FAILED_EXIT_CODE if result.refused else 0)


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


def _gate(model: str, organs: Sequence[Organ]) -> SegmenterGate:
    """The gate of an installed model. Raises UsageError E_NO_LESIONS, WeightsError."""
    from assistant.api import named_segmenter
    from vision.synthesis.tumours.gate import segmenter_gate

    return segmenter_gate(named_segmenter(model), organs)
