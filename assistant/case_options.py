"""The flags and arguments that name cases with reference masks, the same for every command that evaluates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant.terminal import tell

if TYPE_CHECKING:
    from vision.benchmark import EvaluationCase

JSONFlag = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Folders = Annotated[
    list[Path],
    typer.Argument(
        metavar="CASES...",
        help="Case folders, folders of them, or datasets: AbdomenAtlas, TotalSegmentator, MSD, nnU-Net.",
    ),
]
Order = Annotated[
    str | None, typer.Option(help="What the integers of label maps mean: abdomenatlas1.1 or universal32.")
]
AnnotatedIn = Annotated[
    str | None,
    typer.Option(
        help="What every case annotates (liver,spleen), or a .csv with the columns case and annotated, the latter with "
        "blanks between structures; else what its layout says."
    ),
]
Structures = Annotated[str | None, typer.Option(help="Score these alone (liver,spleen).")]
Split = Annotated[str | None, typer.Option(help="Only this split of TotalSegmentator's meta.csv: train, val or test.")]


def chosen_cases(
    folders: list[Path], order: str | None, annotated: str | None, split: str | None
) -> list[EvaluationCase]:
    """The cases in some folders; what they hold and this project has no name for is counted on stderr."""
    from vision.benchmark import find_cases
    from vision.benchmark.layouts import read_annotated

    is_table = annotated is not None and annotated.lower().endswith(".csv")
    known = read_annotated(Path(annotated)) if annotated is not None and is_table else listed(annotated)
    found = find_cases(folders, order=order, annotated=known, split=split)
    unnamed = sum(case.unnamed for case in found)
    if unnamed:
        tell(f"Not scored: {unnamed} masks or labels of {len(found)} cases, of what has no name here.")
    return found


def listed(names: str | None) -> frozenset[str] | None:
    """Names between commas as a set."""
    return None if names is None else frozenset(name.strip() for name in names.split(",") if name.strip())
