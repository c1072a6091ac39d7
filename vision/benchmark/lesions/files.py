"""What an evaluation of lesions leaves on the disk: CSV tables and JSON, each written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from vision.benchmark.files import DIGITS, plain, write_csv, write_json
from vision.benchmark.lesions.estimate import Estimate
from vision.benchmark.lesions.evaluate import CaseRow, LesionCase, LesionEvaluation, PredictedRow, ReferenceRow
from vision.benchmark.lesions.froc import FrocPoint
from vision.benchmark.lesions.summary import (
    SIZES,
    LesionSummary,
    lesion_reliability,
    reliable_from_mm,
    summarise_lesions,
)
from vision.benchmark.reliability import write_reliability

REFERENCES_FILE = "lesions.csv"
PREDICTIONS_FILE = "predicted_lesions.csv"
CASES_FILE = "lesion_cases.csv"
SUMMARY_CSV = "lesion_summary.csv"
FROC_FILE = "froc.csv"
SUMMARY_FILE = "lesions.json"


def lesions_writer(out: Path) -> Callable[[LesionCase], None]:
    """A callback for `evaluate_lesions` that writes the rows of all finished cases after each of them."""
    done: list[LesionCase] = []

    def keep(case: LesionCase) -> None:
        done.append(case)
        _write_rows(
            [row for one in done for row in one.references],
            [row for one in done for row in one.predictions],
            [row for one in done for row in one.rows],
            out,
        )

    return keep


def write_lesions(evaluation: LesionEvaluation, out: Path, *, seed: int = 0) -> Path:
    """Write lesions.csv (a row for each reference lesion), predicted_lesions.csv, lesion_cases.csv, lesion_summary.csv,
    froc.csv, lesions.json and the reliability of the confidence (see `write_reliability`) into a folder; returns it."""
    summaries = summarise_lesions(evaluation, seed=seed)
    _write_rows(evaluation.references, evaluation.predictions, evaluation.rows, out)
    columns = ["structure", "metric", "size", *(field.name for field in fields(Estimate))]
    write_csv(out / SUMMARY_CSV, columns, [row for summary in summaries for row in _summary_rows(summary)])
    points = [
        {"structure": row.structure, **plain(point)} for row in summaries if row.froc for point in row.froc.points
    ]
    write_csv(out / FROC_FILE, ["structure", *(field.name for field in fields(FrocPoint))], points)
    write_json(out / SUMMARY_FILE, lesions_json(evaluation, seed=seed))
    return write_reliability(lesion_reliability(evaluation, seed=seed), out)


def lesions_json(evaluation: LesionEvaluation, *, seed: int = 0) -> dict[str, Any]:
    """Everything as plain JSON values; what is undefined is null."""
    return {
        "predictor": evaluation.predictor,
        "min_iou": evaluation.min_iou,
        "sizes_mm": {size: [low, high if high < 1e6 else None] for size, (low, high) in SIZES.items()},
        "seed": seed,
        "unsearched": list(evaluation.unsearched),
        "cases_without_annotation": evaluation.unannotated,
        "structures": [_summary_json(row) for row in summarise_lesions(evaluation, seed=seed)],
        "cases": [plain(row) for row in evaluation.rows],
        "lesions": [plain(row) for row in evaluation.references],
        "predicted": [plain(row) for row in evaluation.predictions],
    }


def _write_rows(
    references: Sequence[ReferenceRow], predictions: Sequence[PredictedRow], rows: Sequence[CaseRow], out: Path
) -> None:
    for file, kind, written in (
        (REFERENCES_FILE, ReferenceRow, references),
        (PREDICTIONS_FILE, PredictedRow, predictions),
        (CASES_FILE, CaseRow, rows),
    ):
        write_csv(out / file, [field.name for field in fields(kind)], [plain(row) for row in written])


def _summary_rows(summary: LesionSummary) -> Iterator[dict[str, Any]]:
    for metric, value in (*summary.metrics.items(), *summary.lesion_free.items()):
        yield {"structure": summary.structure, "metric": metric, "size": None, **plain(value)}
    for size, value in summary.by_size.items():
        yield {"structure": summary.structure, "metric": "sensitivity", "size": size, **plain(value)}
    for rate, value in (summary.froc.at_rates if summary.froc else {}).items():
        metric = f"sensitivity_at_{rate:g}_false_positives_per_scan"
        yield {"structure": summary.structure, "metric": metric, "size": None, **plain(value)}


def _summary_json(summary: LesionSummary) -> dict[str, Any]:
    froc = summary.froc
    return {
        "structure": summary.structure,
        "reliable_from_mm": reliable_from_mm(summary),
        "sensitivity_by_size": {size: plain(value) for size, value in summary.by_size.items()},
        **{metric: plain(value) for metric, value in summary.metrics.items()},
        "lesion_free": {metric: plain(value) for metric, value in summary.lesion_free.items()},
        "merged": summary.merged,
        "fragments": summary.fragments,
        "froc": None
        if froc is None
        else {
            "points": [{name: round(value, DIGITS) for name, value in asdict(point).items()} for point in froc.points],
            "sensitivity_at_false_positives_per_scan": {
                f"{rate:g}": plain(value) for rate, value in froc.at_rates.items()
            },
            "predictions_with_confidence": froc.confident,
            "predictions": froc.predictions,
        },
    }
