"""How much a segmenter's masks change when the same patient is presented otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from rich.table import Table

from vision.benchmark.evaluate import numbered, share_of
from vision.benchmark.files import plain, write_csv, write_json
from vision.benchmark.layouts import EvaluationCase, Reference, read_reference
from vision.benchmark.metrics import bootstrap_interval, dice
from vision.benchmark.presentations import Presentation, carried, presentations, unchanged
from vision.benchmark.summary import interval_text, number
from vision.segmenter import Progress, Segmenter, no_progress
from vision.structures import by_name, names

SCORES_FILE = "robustness.csv"
SUMMARY_CSV = "robustness_worst.csv"
SUMMARY_FILE = "robustness.json"


@dataclass(frozen=True)
class PresentedScore:
    """Dice of one structure in one presentation of a case, against its reference on that presentation's grid."""

    case: str
    kind: str
    presentation: str
    structure: str
    dice: float
    """NaN where nothing is annotated on this grid and nothing found."""
    change: float
    """Dice minus that of the CT as it is; NaN where either is."""


@dataclass(frozen=True)
class WorstChange:
    """The presentation of one kind that cost a structure the most Dice, over all cases."""

    structure: str
    kind: str
    n: int
    """Presented cases that have a change."""
    change: float
    presentation: str
    case: str


def no_scores(scores: Sequence[PresentedScore]) -> None:
    """A callback that does nothing with a case's scores."""


def evaluate_robustness(
    cases: Sequence[EvaluationCase],
    segmenter: Segmenter,
    *,
    structures: frozenset[str] | None = None,
    changes: Sequence[Presentation] | None = None,
    progress: Progress = no_progress,
    keep: Callable[[Sequence[PresentedScore]], None] = no_scores,
) -> list[PresentedScore]:
    """Segment every case as it is and in every presentation, and score the annotated structures that are there.

    `changes` are those of `presentations` unless given; `keep` is handed the scores of each finished case. Raises what
    `read_reference` raises, with the number of the case, and UsageError E_STRUCTURE.
    """
    chosen = None if structures is None else frozenset(by_name(name).name for name in structures)
    ways = (unchanged(), *(presentations() if changes is None else changes))
    scores: list[PresentedScore] = []
    for position, case in enumerate(cases):
        told = share_of(progress, case.name, first=position / len(cases), last=(position + 1) / len(cases))
        told("reading", 0.0)
        with numbered(position + 1, len(cases)):
            wanted = segmenter.structures if chosen is None else segmenter.structures & chosen
            found = _present(case.name, read_reference(case, wanted), segmenter, ways, told)
        scores += found
        keep(found)
    progress("done", 1.0)
    return scores


def worst_changes(scores: Sequence[PresentedScore]) -> list[WorstChange]:
    """For each structure, in the order of the table, and each kind of change the one that cost the most."""
    groups: dict[tuple[str, str], list[PresentedScore]] = {}
    for score in scores:
        if score.kind != "unchanged" and not math.isnan(score.change):
            groups.setdefault((score.structure, score.kind), []).append(score)
    ordered = sorted(groups.items(), key=lambda group: names().index(group[0][0]))
    worst = [(structure, kind, len(rows), min(rows, key=lambda row: row.change)) for (structure, kind), rows in ordered]
    return [WorstChange(name, kind, n, row.change, row.presentation, row.case) for name, kind, n, row in worst]


def worst_table(scores: Sequence[PresentedScore]) -> Table:
    """One row for each structure: Dice as it is, and the worst change of each kind of presentation."""
    worst = {(row.structure, row.kind): row for row in worst_changes(scores)}
    kinds = list(dict.fromkeys(score.kind for score in scores if score.kind != "unchanged"))
    table = Table(
        title="Worst change of Dice by kind of presentation",
        caption="Against the CT as it is; each with the reference on its own grid. Below 0 is worse.",
        caption_justify="left",
    )
    table.add_column("structure")
    for heading in ("n", "Dice as it is", *kinds, "worst"):
        table.add_column(heading, justify="right")
    for name in (name for name in names() if any(score.structure == name for score in scores)):
        plain_dice = [row.dice for row in scores if row.structure == name and row.kind == "unchanged"]
        as_it_is = bootstrap_interval(plain_dice)
        changes = [worst[name, kind].change if (name, kind) in worst else math.nan for kind in kinds]
        lowest = min((change for change in changes if not math.isnan(change)), default=math.nan)
        cells = [_signed(change) for change in (*changes, lowest)]
        table.add_row(by_name(name).spoken, str(as_it_is.n), interval_text(as_it_is, 3), *cells)
    return table


def presentation_table(scores: Sequence[PresentedScore]) -> Table:
    """One row for each presentation: Dice and change over all masks, and the worst of them."""
    table = Table(title="Each presentation, over all masks")
    table.add_column("presentation")
    for heading in ("n", "Dice", "change", "worst change"):
        table.add_column(heading, justify="right")
    for name in dict.fromkeys(score.presentation for score in scores):
        rows = [score for score in scores if score.presentation == name]
        changes = [row.change for row in rows if not math.isnan(row.change)]
        mean = bootstrap_interval([row.dice for row in rows]).mean
        average = bootstrap_interval(changes).mean
        cells = (number(mean, 3), _signed(math.nan if average is None else average))
        table.add_row(name, str(len(changes)), *cells, _signed(min(changes, default=math.nan)))
    return table


def robustness_json(scores: Sequence[PresentedScore], segmenter: str) -> dict[str, Any]:
    """Everything as plain JSON values; what is undefined is null."""
    return {
        "segmenter": segmenter,
        "worst": [plain(row) for row in worst_changes(scores)],
        "scores": [plain(score) for score in scores],
    }


def scores_writer(out: Path) -> Callable[[Sequence[PresentedScore]], None]:
    """A callback for `evaluate_robustness` that writes the rows of all finished cases after each of them."""
    written: list[PresentedScore] = []

    def keep(scores: Sequence[PresentedScore]) -> None:
        written.extend(scores)
        columns = [field.name for field in fields(PresentedScore)]
        write_csv(out / SCORES_FILE, columns, [plain(score) for score in written])

    return keep


def write_robustness(scores: Sequence[PresentedScore], out: Path, *, segmenter: str) -> Path:
    """Write robustness.csv, robustness_worst.csv and robustness.json into a folder; returns it."""
    scores_writer(out)(scores)
    columns = [field.name for field in fields(WorstChange)]
    write_csv(out / SUMMARY_CSV, columns, [plain(row) for row in worst_changes(scores)])
    write_json(out / SUMMARY_FILE, robustness_json(scores, segmenter))
    return out


def _present(
    case: str, reference: Reference, segmenter: Segmenter, ways: Sequence[Presentation], progress: Progress
) -> list[PresentedScore]:
    """Every score of one case, the unchanged presentation first."""
    scores: list[PresentedScore] = []
    as_it_is: dict[str, float] = {}
    present = [name for name in names() if reference.masks.get(name)]
    for number_of_way, way in enumerate(ways):
        progress(way.name, number_of_way / len(ways))
        ct = way.present(reference.ct)
        encoding = segmenter.encode(ct)
        for name in present:
            score = dice(segmenter.segment(encoding, name), carried(reference.masks[name], ct.grid))
            as_it_is.setdefault(name, score)
            scores.append(PresentedScore(case, way.kind, way.name, name, score, score - as_it_is[name]))
    return scores


def _signed(change: float) -> str:
    return "-" if math.isnan(change) else f"{change:+.3f}"
