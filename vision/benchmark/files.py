"""What an evaluation leaves on the disk: CSV tables, JSON and pictures, each written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from vision.benchmark.evaluate import CaseResult, CaseScore, Evaluation
from vision.benchmark.metrics import TOLERANCE_MM, Interval
from vision.benchmark.summary import METRICS, summarise
from vision.io import write_text
from vision.structures import names

RESULTS_FILE = "results.csv"
DICE_FILE = "dsc.csv"
SURFACE_FILE = "nsd.csv"
SUMMARY_CSV = "summary.csv"
SUMMARY_FILE = "evaluation.json"
DIGITS = 6


def results_writer(out: Path) -> Callable[[CaseResult], None]:
    """A callback for `evaluate_cases` that writes the rows of all finished cases after each of them.

    Whatever ends the evaluation, the tables hold every finished case and nothing of the others.
    """
    scores: list[CaseScore] = []
    cases: list[str] = []

    def keep(result: CaseResult) -> None:
        cases.append(result.case)
        scores.extend(result.scores)
        write_scores(scores, cases, out)

    return keep


def write_scores(scores: Sequence[CaseScore], cases: Sequence[str], out: Path) -> None:
    """Write results.csv (a row for each structure of each case), dsc.csv and nsd.csv (a row for each case).

    The last two have Touchstone's header `name,<structure>...` and are empty where a structure is absent from the
    reference or not annotated (systems such as Touchstone's compare models on them).
    """
    write_csv(out / RESULTS_FILE, [field.name for field in fields(CaseScore)], [plain(score) for score in scores])
    known = {score.structure for score in scores}
    columns = ["name", *(name for name in names() if name in known)]
    for file, metric in ((DICE_FILE, "dice"), (SURFACE_FILE, "surface_dice")):
        rows: dict[str, dict[str, Any]] = {case: {"name": case} for case in cases}
        for score in scores:
            if score.reference_ml > 0:
                rows[score.case][score.structure] = plain(score)[metric]
        write_csv(out / file, columns, list(rows.values()))


def write_evaluation(evaluation: Evaluation, out: Path, *, seed: int = 0) -> Path:
    """Write the tables of `write_scores`, summary.csv and evaluation.json into a folder; returns it."""
    write_scores(evaluation.scores, list(evaluation.encode_seconds), out)
    rows = [
        {"structure": row.structure, "metric": metric, **interval_row(row.metrics[metric])}
        for row in summarise(evaluation.scores, seed=seed)
        for metric in METRICS
    ]
    write_csv(out / SUMMARY_CSV, ["structure", "metric", "n", "mean", "median", "low", "high"], rows)
    write_json(out / SUMMARY_FILE, evaluation_json(evaluation, seed=seed))
    return out


def evaluation_json(evaluation: Evaluation, *, seed: int = 0) -> dict[str, Any]:
    """Everything as plain JSON values; what is undefined is null."""
    return {
        "segmenter": evaluation.segmenter,
        "tolerance_mm": TOLERANCE_MM,
        "seed": seed,
        "structures": [
            {"structure": row.structure, **{metric: asdict(row.metrics[metric]) for metric in METRICS}}
            for row in summarise(evaluation.scores, seed=seed)
        ],
        "scores": [plain(score) for score in evaluation.scores],
        "lesions_where_none_is_annotated": [asdict(count) for count in evaluation.lesions],
        "annotated_but_not_segmented": {case: list(missing) for case, missing in evaluation.unsegmented.items()},
        "encode_seconds": dict(evaluation.encode_seconds),
    }


def interval_row(interval: Interval) -> dict[str, Any]:
    """n, mean, median and interval as cells of a table."""
    return {
        "n": interval.n,
        **{
            name: None if value is None else round(value, DIGITS)
            for name, value in (
                ("mean", interval.mean),
                ("median", interval.median),
                ("low", interval.low),
                ("high", interval.high),
            )
        },
    }


def plain(row: Any) -> dict[str, Any]:
    """A flat frozen dataclass as JSON values: rounded to six decimals, NaN as None."""
    return {name: _plain(value) for name, value in asdict(row).items()}


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> Path:
    """Write a table with a header; None is an empty cell. Raises ResourceError."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return write_text(path, text.getvalue())


def write_json(path: Path, values: Any) -> Path:
    """Write plain values as JSON. Raises ResourceError, and ValueError for NaN."""
    return write_text(path, json.dumps(values, indent=1, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return None if math.isnan(value) else round(value, DIGITS)
