"""Tables of an evaluation of lesions for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from vision.benchmark.lesions.estimate import Estimate
from vision.benchmark.lesions.evaluate import LesionEvaluation
from vision.benchmark.lesions.froc import RATES
from vision.benchmark.lesions.summary import ALL, SIZES, LesionSummary
from vision.benchmark.metrics import FEW_VALUES, FEWEST_VALUES
from vision.structures import by_name


def lesion_tables(evaluation: LesionEvaluation, summaries: Sequence[LesionSummary]) -> list[Table]:
    """Sensitivity by size, found and invented, outline and size, the FROC curve, false alarms where no lesion is."""
    tables = [_size_table(summaries, evaluation), _found_table(summaries), _outline_table(summaries)]
    if any(row.froc for row in summaries):
        tables.append(_froc_table(summaries))
    if any(row.lesion_free["false_alarms_per_scan"].n for row in summaries):
        tables.append(_alarm_table(summaries))
    return tables


def told(value: Estimate, digits: int) -> str:
    """As in '0.83 [0.61, 0.95]', a dash for nothing."""
    if value.value is None:
        return "-"
    middle = f"{value.value:.{digits}f}"
    interval = "" if value.low is None or value.high is None else f" [{value.low:.{digits}f}, {value.high:.{digits}f}]"
    return f"{middle}{interval}"


def _size_table(summaries: Sequence[LesionSummary], evaluation: LesionEvaluation) -> Table:
    caption = (
        f"{evaluation.predictor}. Share found [95 % interval], n lesions/scans. Found: overlap (IoU) of at least "
        f"{evaluation.min_iou:g}, one to one. Size: long axis of the reference. {_caution(summaries)}"
    )
    table = _table("Sensitivity by size", caption, *SIZES, "all sizes")
    for row in summaries:
        values = [*row.by_size.values(), row.metrics["sensitivity"]]
        table.add_row(_name(row), *(_counted(value, 2) for value in values))
    return table


def _found_table(summaries: Sequence[LesionSummary]) -> Table:
    caption = (
        "Merged: missed, its prediction found another one. Fragments overlap what another prediction found; they count "
        "neither as found nor as false."
    )
    headings = ("scans", "found/lesions", "merged", "false positives a scan", "fragments")
    table = _table("Lesions found and invented", caption, *headings)
    for row in summaries:
        found, false = row.metrics["dice_of_found"].n, row.metrics["false_positives_per_scan"]
        counts = (f"{found}/{row.metrics['sensitivity'].n}", str(row.merged))
        table.add_row(_name(row), str(false.scans), *counts, told(false, 2), str(row.fragments))
    return table


def _outline_table(summaries: Sequence[LesionSummary]) -> Table:
    columns = {
        "Dice a lesion": ("dice_per_lesion", 2),
        "Dice of found": ("dice_of_found", 2),
        "Dice a case": ("dice_per_case", 2),
        "size error mm": ("size_error_mm", 1),
        "absolute mm": ("absolute_size_error_mm", 1),
    }
    caption = (
        "Mean [95 % interval], n/scans. A missed lesion has Dice 0; Dice a case is over those with lesions. Size "
        "error: predicted minus reference long axis of found lesions."
    )
    table = _table("Outline and size", caption, *columns)
    for row in summaries:
        table.add_row(_name(row), *(_counted(row.metrics[metric], digits) for metric, digits in columns.values()))
    return table


def _froc_table(summaries: Sequence[LesionSummary]) -> Table:
    curves = [row.froc for row in summaries if row.froc]
    unsure = max(curve.predictions - curve.confident for curve in curves)
    note = f" {unsure} predictions have no confidence and count as sure." if unsure else ""
    caption = (
        f"At most so many false positives a scan, by the confidence that is asked for; nothing interpolated.{note}"
    )
    table = _table("Sensitivity at false positives a scan (FROC)", caption, *(f"{rate:g}" for rate in RATES))
    for row in summaries:
        if row.froc:
            table.add_row(_name(row), *(told(row.froc.at_rates[rate], 2) for rate in RATES))
    return table


def _alarm_table(summaries: Sequence[LesionSummary]) -> Table:
    caption = "Over scans in which the reference searched and holds no lesion of any kind."
    headings = ("scans", "false alarms a scan", "share of scans with one")
    table = _table("False alarms on CTs without lesions", caption, *headings)
    for row in summaries:
        alarms, share = (row.lesion_free[name] for name in ("false_alarms_per_scan", "scans_with_false_alarm"))
        table.add_row(_name(row), str(alarms.scans), told(alarms, 2), told(share, 2))
    return table


def _table(title: str, caption: str, *headings: str) -> Table:
    table = Table(title=title, caption=caption, caption_justify="left", pad_edge=False)
    table.add_column("lesion")
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def _counted(value: Estimate, digits: int) -> str:
    return f"{told(value, digits)} {value.n}/{value.scans}" if value.n else "-"


def _name(row: LesionSummary) -> str:
    return ALL if row.structure == ALL else by_name(row.structure).spoken


def _caution(summaries: Sequence[LesionSummary]) -> str:
    if not any(value.is_small for row in summaries for value in (*row.by_size.values(), *row.metrics.values())):
        return "Intervals draw scans again."
    return (
        f"Intervals draw scans again: with fewer than {FEW_VALUES} scans they are too narrow, with fewer than "
        f"{FEWEST_VALUES} there is none, and one without width is no certainty."
    )
