"""`bodymaps synthesize`: tumours and CTs that no patient had."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from assistant import commands_reader_study
from assistant.case_options import Order as LabelOrder
from assistant.terminal import progress_bar, tell
from vision.errors import UsageError

if TYPE_CHECKING:
    from vision.synthesis.tumours.case import Order
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
    commands_reader_study.register(synthesize_app)


@synthesize_app.command()
def tumours(
    inputs: Annotated[Path, typer.Argument(metavar="IN", help="Folder of CTs with organ masks, in any known layout.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to, in AbdomenAtlas's layout.")],
    engine: Annotated[str, typer.Option(help="handcrafted, cellular-automaton or real-shape.")] = "handcrafted",
    shapes: Annotated[Path | None, typer.Option(help="Folder of real tumour shapes, for real-shape.")] = None,
    organ: Annotated[
        list[str] | None, typer.Option(help="liver, pancreas, kidney, colon; several allowed; all without it.")
    ] = None,
    count: Annotated[int, typer.Option(help="Tumours a CT.")] = 1,
    size_mm: Annotated[str | None, typer.Option(metavar="A..B", help="Diameters to draw from, as 5..40.")] = None,
    words: Annotated[str | None, typer.Option(help='What they look like, as "large hypodense".')] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same tumours.")] = 0,
    order: LabelOrder = None,
    sheet: Annotated[Path | None, typer.Option(metavar="PNG", help="Also write a picture, without and with.")] = None,
) -> None:
    """Paint tumours into CTs: each with masks and facts. A run that was stopped goes on where it was."""
    from vision.benchmark.layouts import find_cases
    from vision.synthesis.tumours.engines import make_engine
    from vision.synthesis.tumours.folder import synthesise_folder, write_sheet

    asked = _order(organ or [], count, size_mm, words)
    painter = make_engine(engine, shapes=shapes)
    cases = find_cases([inputs], order=order)
    with progress_bar() as progress:
        result = synthesise_folder(cases, out, asked, engine=painter, seed=seed, progress=progress)
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


def _order(named: list[str], count: int, size_mm: str | None, words: str | None) -> Order:
    """What is painted, and where: the organs named, else that of the words, else all. Raises UsageError."""
    from vision.synthesis.tumours.case import Order
    from vision.synthesis.tumours.protocol import ORGANS, Wish
    from vision.synthesis.tumours.words import organ_named, read_words

    organs: tuple[Organ, ...] = tuple(organ for organ in ORGANS if organ in named)
    if len(organs) < len(set(named)):
        raise UsageError("E_TUMOUR_ORGAN", "An organ is not one of those.", f"Choose from {', '.join(ORGANS)}.")
    said = organ_named(words) if words else None
    organs = organs or ((said,) if said else ORGANS)
    if said and organs != (said,):
        raise UsageError("E_TUMOUR_ORGAN", "The words and --organ name different organs.", "Leave one out.")
    wish = read_words(words, organ=organs[0]) if words else Wish(organs[0])
    if wish.diameter_mm is not None and size_mm:
        raise UsageError("E_TUMOUR_SIZE", "The words and --size-mm both say a size.", "Leave one out.")
    return Order(wish, organs, count, _sizes(size_mm))


def _sizes(text: str | None) -> tuple[float, float] | None:
    """'5..40' -> (5, 40), '20' -> (20, 20)."""
    if text is None:
        return None
    low, dots, high = text.partition("..")
    try:
        return float(low), float(high if dots else low)
    except ValueError:
        raise UsageError("E_TUMOUR_SIZE", "--size-mm is not a range of mm.", "Write it as 5..40.") from None
