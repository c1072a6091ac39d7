"""The flags that say what tumours to paint, the same for every command that paints. Light to import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vision.errors import UsageError

if TYPE_CHECKING:
    from vision.synthesis.tumours.case import Order
    from vision.synthesis.tumours.protocol import Organ, Wish

EngineName = Annotated[str, typer.Option(help="handcrafted, cellular-automaton, real-shape or diffusion.")]
Shapes = Annotated[Path | None, typer.Option(help="Folder of real tumour shapes, for real-shape.")]
DiffusionWeights = Annotated[
    Path | None, typer.Option(help="Folder that 'train diffusion' wrote, for diffusion; else what comes with it.")
]
Organs = Annotated[
    list[str] | None, typer.Option(help="liver, pancreas, kidney, colon; several allowed; all without it.")
]
SizeMM = Annotated[str | None, typer.Option(metavar="A..B", help="Diameters to draw from, as 5..40.")]
Words = Annotated[str | None, typer.Option(help='What they look like, as "large hypodense".')]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same tumours.")]


def chosen_order(named: list[str], size_mm: str | None, words: str | None, *, count: int, confusers: int) -> Order:
    """What is painted, and where: the organs named, else that of the words, else all. Raises UsageError."""
    from vision.synthesis.tumours.case import Order

    wish, organs = chosen_wish(named, words)
    if wish.diameter_mm is not None and size_mm:
        raise UsageError("E_TUMOUR_SIZE", "The words and --size-mm both say a size.", "Leave one out.")
    return Order(wish, organs, count, _sizes(size_mm), confusers)


def chosen_wish(named: list[str], words: str | None) -> tuple[Wish, tuple[Organ, ...]]:
    """What every tumour has in common, and the organs. Raises UsageError for an unknown organ, and for two."""
    from vision.synthesis.tumours.protocol import ORGANS, Wish
    from vision.synthesis.tumours.words import organ_named, read_words

    organs: tuple[Organ, ...] = tuple(organ for organ in ORGANS if organ in named)
    if len(organs) < len(set(named)):
        raise UsageError("E_TUMOUR_ORGAN", "An organ is not one of those.", f"Choose from {', '.join(ORGANS)}.")
    said = organ_named(words) if words else None
    organs = organs or ((said,) if said else ORGANS)
    if said and organs != (said,):
        raise UsageError("E_TUMOUR_ORGAN", "The words and --organ name different organs.", "Leave one out.")
    return read_words(words, organ=organs[0]) if words else Wish(organs[0]), organs


def _sizes(text: str | None) -> tuple[float, float] | None:
    """'5..40' -> (5, 40), '20' -> (20, 20)."""
    if text is None:
        return None
    low, dots, high = text.partition("..")
    try:
        return float(low), float(high if dots else low)
    except ValueError:
        raise UsageError("E_TUMOUR_SIZE", "--size-mm is not a range of mm.", "Write it as 5..40.") from None
